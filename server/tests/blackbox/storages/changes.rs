//! The config changes: storages come, are emptied, go and come back. Nothing is deleted but what lies elsewhere by then.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use super::bucket::Bucket;
use super::jobs::last_event;
use super::medium::{Medium, holder};
use super::{assert_all_readable, condition, disk, in_bucket, local, paths, site};
use crate::harness::path::random_hash;
use crate::harness::{NarInfo, Path, Permission, SOON, Site, wait_for};

/// The storages of `pub` in the config.
pub fn storages(config: &mut Value) -> &mut Vec<Value> {
    config["caches"][0]["storages"].as_array_mut().unwrap()
}

/// Waits until everything is there that belongs to the paths on this storage.
pub fn wait_until_published(medium: &Medium<'_>) {
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
    let list = site.cachectl_ok(&["storage", "list", "--json"]);
    assert!(!list.contains("old"), "what is empty may be forgotten: {list}");
    wait_for(SOON, "everything is in the bucket", || {
        (new.files().len() == 3 * (all.len() + 1) + 1).then_some(())
    });
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
    let gone = condition(&site, "gone");
    assert_eq!((&gone["state"], &gone["nars"]), (&json!("disabled"), &json!(3)), "{gone}");
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

/// The catalog takes it for a new one that holds more than it should, and searches it.
#[test]
fn a_storage_under_another_name_keeps_its_files_and_gives_them_by_itself() {
    let mut site = site("in-order", |directory| vec![local(directory, "disk")]);
    let all = paths([10_000; 5]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    let medium = disk(&site, "disk");
    wait_until_published(&medium);
    let files = medium.files();
    let infos = narinfos(&site, &all);

    for name in ["hdd", "disk", "hdd"] {
        site.reconfigure(|config| storages(config)[0]["name"] = json!(name));
        wait_for(SOON, "its paths are back", || {
            let reader = site.reader("pub");
            all.iter().all(|path| reader.narinfo_status(path) == 200).then_some(())
        });
        // It may have to wait for the search.
        wait_for(SOON, "the storage is compared", || site.cachectl(&["fsck"]).status.success().then_some(()));
        assert_eq!(medium.files(), files, "nothing is deleted");
    }
    assert_all_readable(&site, &all);
    assert_eq!(narinfos(&site, &all), infos);
    assert_eq!(medium.files(), files);
    assert_eq!(condition(&site, "hdd")["used_bytes"], medium.bytes());
}

/// The narinfo of each path.
fn narinfos(site: &Site, paths: &[Path]) -> Vec<NarInfo> {
    let reader = site.reader("pub");
    paths.iter().map(|path| reader.narinfo(path)).collect()
}
