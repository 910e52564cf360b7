//! The config changes: storages come, go, are emptied and balanced. Nothing is ever deleted but what lies elsewhere by then.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use serde_json::{Value, json};

use super::bucket::Bucket;
use super::jobs::last_event;
use super::medium::{Medium, holder};
use super::{assert_all_readable, condition, disk, in_bucket, local, paths, push_side_by_side, site, with};
use crate::harness::path::random_hash;
use crate::harness::{Path, Permission, SOON, Site, wait_for};

/// The storages of `pub` in the config.
fn storages(config: &mut Value) -> &mut Vec<Value> {
    config["caches"][0]["storages"].as_array_mut().unwrap()
}

/// Waits until everything is there that belongs to the paths on this storage.
fn wait_until_published(medium: &Medium<'_>) {
    wait_for(SOON, "narinfo and listing of every path are written", || {
        (medium.files().len() == 3 * medium.nars().len()).then_some(())
    });
}

#[test]
fn a_storage_is_added_and_another_is_emptied() {
    let bucket = Bucket::start();
    let mut site = site("in-order", |directory| vec![local(directory, "old")]);
    let all = paths([10_000; 12]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    let log = format!("/log/{}-hello-1.0.drv", random_hash());
    let token = site.token("pub", Permission::Write);
    site.cache("pub").put(&log).basic("", &token).body("built\n").send().expect_success();

    let added = bucket.storage("new");
    site.reconfigure(|config| {
        let storages = storages(config);
        storages[0]["draining"] = json!(true);
        storages.push(added);
    });
    let (old, new) = (disk(&site, "old"), in_bucket(&bucket, "new"));
    let late = Path::incompressible("late", 10_000);
    site.pusher("pub").push(&late);
    assert!(new.holds(&late) && old.nars().len() == all.len(), "nothing new is written to it");
    assert_all_readable(&site, &all);
    assert_eq!(condition(&site, "old")["draining"], true);

    let output = thread::scope(|scope| {
        let draining = scope.spawn(|| site.cachectl(&["storage", "drain", "old", "--json"]));
        while !draining.is_finished() {
            assert_all_readable(&site, &all);
        }
        draining.join().unwrap()
    });
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = &last_event(&output)["summary"];
    assert_eq!((&summary["moved_files"], &summary["left_files"]), (&json!(12), &json!(0)), "{summary}");
    assert_eq!(summary["moved_bytes"], all.iter().map(|path| path.file.len()).sum::<usize>());
    assert!(old.files().is_empty(), "{:?}", old.files());
    assert!(all.iter().all(|path| new.holds(path)));
    assert_all_readable(&site, &all);
    assert_eq!(site.cache("pub").get(&log).send().expect(200).text(), "built\n");
    assert_eq!(condition(&site, "old")["used_bytes"], 0);

    site.reconfigure(|config| drop(storages(config).remove(0)));
    assert_all_readable(&site, &all);
    wait_for(SOON, "everything is in the bucket", || {
        (new.files().len() == 3 * (all.len() + 1) + 1).then_some(())
    });
}

#[test]
fn a_drain_goes_on_after_a_crash_in_its_middle() {
    let mut site = site("in-order", |directory| {
        vec![local(directory, "old"), with(local(directory, "new"), "draining", true)]
    });
    let all = paths([20_000; 90]);
    push_side_by_side(&site, &all, 4);
    site.reconfigure(|config| {
        let storages = storages(config);
        storages[0]["draining"] = json!(true);
        storages[1]["draining"] = json!(false);
    });
    let media = [disk(&site, "old"), disk(&site, "new")];
    let [old, new] = &media;
    for part in [10, 40] {
        let mut draining = site.start_cachectl(&["storage", "drain", "old", "--json"]);
        wait_for(SOON, "some of it is moved", || (new.nars().len() >= part).then_some(()));
        site.daemon().kill9();
        assert_eq!(draining.wait().unwrap().code(), Some(8), "whoever watched is told that it did not end");
        assert!(!old.nars().is_empty(), "it was in the middle");
        site.restart();
        assert_all_readable(&site, &all);
    }
    site.cachectl_ok(&["storage", "drain", "old"]);
    assert!(old.files().is_empty(), "{:?}", old.files());
    let pushed: BTreeSet<String> = all.iter().map(Path::file_url).collect();
    assert_eq!(new.nars().into_keys().collect::<BTreeSet<_>>(), pushed);
    assert_all_readable(&site, &all);
    wait_until_published(new);
    site.wait_for_empty_spool("pub");
}

#[test]
fn a_storage_taken_out_of_the_file_keeps_what_it_has_and_brings_it_back() {
    let mut site = site("round-robin", |directory| vec![local(directory, "kept"), local(directory, "gone")]);
    let all = paths([10_000; 6]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    let media = [disk(&site, "kept"), disk(&site, "gone")];
    let (here, there): (Vec<Path>, Vec<Path>) = all.iter().cloned().partition(|path| media[0].holds(path));
    assert_eq!((here.len(), there.len()), (3, 3));
    wait_until_published(&media[1]);
    let files = media[1].files();

    let mut removed = json!(null);
    site.reconfigure(|config| removed = storages(config).remove(1));
    assert_all_readable(&site, &here);
    let pusher = site.pusher("pub");
    for path in &there {
        site.reader("pub").assert_lacks(path);
        assert_eq!(pusher.missing(&[&path.hash]), [path.hash.as_str()]);
    }
    pusher.push(&there[0]);
    site.reader("pub").assert_has(&there[0]);
    assert!(media[0].holds(&there[0]));
    assert_eq!(media[1].files(), files, "nothing is deleted");

    site.reconfigure(|config| storages(config).push(removed.clone()));
    assert_all_readable(&site, &all);
    site.cachectl_ok(&["fsck"]);
    all.iter().for_each(|path| assert!(holder(&media, path) < 2, "one copy is enough"));
    assert_all_readable(&site, &all);

    // Its directory may be moved, and the strategy may change.
    assert!(site.daemon().terminate().success());
    fs::rename(site.directory().join("gone"), site.directory().join("moved")).unwrap();
    site.restart();
    site.reconfigure(|config| {
        let root = storages(config)[1]["root"].as_str().unwrap().replace("gone", "moved");
        storages(config)[1]["root"] = json!(root);
        config["caches"][0]["storage-strategy"] = json!("in-order");
    });
    assert_all_readable(&site, &all);
    for path in paths([10_000; 2]) {
        site.pusher("pub").push(&path);
        assert!(media[0].holds(&path));
    }
}

/// Percentages of the bytes.
fn shares(media: &[Medium<'_>]) -> Vec<f64> {
    let bytes: Vec<f64> = media.iter().map(|medium| medium.bytes() as f64).collect();
    let total: f64 = bytes.iter().sum();
    bytes.into_iter().map(|bytes| bytes / total * 100.0).collect()
}

#[test]
fn a_rebalance_gets_near_the_shares() {
    let bucket = Bucket::start();
    let wanted = [50, 30, 20];
    let mut site = site("in-order", |directory| vec![local(directory, "first")]);
    let all = paths((0..60_usize).map(|number| 500 + number * 7_919 % 10_000));
    push_side_by_side(&site, &all, 4);
    let directory = site.directory().to_owned();
    let added = [local(&directory, "second"), bucket.storage("third")];
    site.reconfigure(|config| {
        config["caches"][0]["storage-strategy"] = json!("split");
        storages(config).extend(added);
        for (storage, share) in storages(config).iter_mut().zip(wanted) {
            storage["split"] = json!(share);
        }
    });
    let media = [disk(&site, "first"), disk(&site, "second"), in_bucket(&bucket, "third")];
    let output = site.cachectl(&["storage", "rebalance", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for (actual, wanted) in shares(&media).into_iter().zip(wanted) {
        assert!((actual - f64::from(wanted)).abs() < 4.0, "{actual:.1} % instead of {wanted} %");
    }
    let summary = &last_event(&output)["summary"];
    for (told, actual) in summary["shares"].as_array().unwrap().iter().zip(shares(&media)) {
        let told = told["share_actual"].as_f64().unwrap() * 100.0;
        assert!((told - actual).abs() < 0.1, "{told:.1} % said, {actual:.1} % found");
    }
    all.iter().for_each(|path| assert!(holder(&media, path) < 3));
    assert_all_readable(&site, &all);
    site.wait_for_empty_spool("pub");

    // Once there, nothing more is moved.
    let again = site.cachectl(&["storage", "rebalance", "--json"]);
    assert_eq!(last_event(&again)["summary"]["moved_files"], 0);
}

/// A site of its own: what cannot go anywhere stays.
#[test]
fn a_storage_that_cannot_be_emptied_is_left_as_it_is() {
    let site: Site = site("in-order", |directory| vec![local(directory, "only")]);
    let all = paths([5_000; 3]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    let output = site.cachectl(&["storage", "drain", "only", "--json"]);
    assert_eq!(output.status.code(), Some(8), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(["failed", "done"].contains(&last_event(&output)["event"].as_str().unwrap()));
    assert!(all.iter().all(|path| disk(&site, "only").holds(path)));
    assert_all_readable(&site, &all);
}
