//! Files on their way from one storage to another: drains that are disturbed, and rebalancing.

use std::collections::BTreeSet;

use serde_json::json;

use super::bucket::{Bucket, storage_at};
use super::changes::{storages, wait_until_published};
use super::jobs::last_event;
use super::medium::{Medium, holder};
use super::network::Network;
use super::proxy::Fault;
use super::{
    assert_all_readable, condition, disk, in_bucket, local, paths, push_side_by_side, site,
    wait_for_empty_spools, wait_for_state, wait_until_readable, with,
};
use crate::harness::{Path, SOON, wait_for};

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
        assert_eq!(
            draining.wait().unwrap().code(),
            Some(3),
            "whoever watched is told that the daemon is gone"
        );
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
    assert_eq!(condition(&site, "new")["used_bytes"], new.bytes());
}

#[test]
fn a_drain_whose_target_dies_fails_and_can_be_repeated() {
    let bucket = Bucket::start();
    let network = Network::to(bucket.service.address());
    let mut site = site("in-order", |directory| vec![local(directory, "old")]);
    let all = paths([20_000; 40]);
    push_side_by_side(&site, &all, 4);
    let added = storage_at(&network.endpoint(), "new");
    site.reconfigure(|config| {
        let storages = storages(config);
        storages[0]["draining"] = json!(true);
        storages.push(added);
    });
    let media = [disk(&site, "old"), in_bucket(&bucket, "new")];
    let mut draining = site.start_cachectl(&["storage", "drain", "old", "--json"]);
    wait_for(SOON, "some of it is moved", || (media[1].nars().len() >= 5).then_some(()));
    network.fail(Fault::Refuse);
    assert_eq!(draining.wait().unwrap().code(), Some(8));
    let left = paths_on(&media[0], &all);
    assert!(!left.is_empty() && left.len() < all.len(), "{} are left", left.len());
    assert_all_readable(&site, &left);
    network.mend();
    wait_for_state(&site, "new", "ok");
    wait_until_readable(&site, &all);
    site.cachectl_ok(&["storage", "drain", "old"]);
    assert!(media[0].files().is_empty(), "{:?}", media[0].files());
    assert_all_readable(&site, &all);
    assert_eq!(condition(&site, "new")["used_bytes"], media[1].bytes());
    wait_for_empty_spools(&site);
}

/// Those of the paths that this storage holds.
fn paths_on(medium: &Medium<'_>, paths: &[Path]) -> Vec<Path> {
    let nars = medium.nars();
    paths.iter().filter(|path| nars.contains_key(&path.file_url())).cloned().collect()
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
    for (name, medium) in ["first", "second", "third"].into_iter().zip(&media) {
        assert_eq!(condition(&site, name)["used_bytes"], medium.bytes(), "{name}");
    }

    // Once there, nothing more is moved.
    let again = site.cachectl(&["storage", "rebalance", "--json"]);
    assert_eq!(last_event(&again)["summary"]["moved_files"], 0);
}

#[test]
fn a_storage_that_cannot_be_emptied_is_left_as_it_is() {
    let mut site = site("in-order", |directory| vec![local(directory, "only")]);
    let all = paths([5_000; 3]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    site.reconfigure(|config| storages(config)[0]["draining"] = json!(true));
    let output = site.cachectl(&["storage", "drain", "only", "--json"]);
    assert_eq!(output.status.code(), Some(8), "{}", String::from_utf8_lossy(&output.stderr));
    let end = last_event(&output);
    assert_eq!(end["event"], "failed", "{end}");
    assert!(end["error"]["message"].as_str().unwrap().contains("only"), "{end}");
    assert!(all.iter().all(|path| disk(&site, "only").holds(path)));
    assert_all_readable(&site, &all);
    // Nothing that is left takes pushes, which may change.
    let pusher = site.pusher("pub");
    let target = pusher.target("multipart-nar?compression=zst");
    let reply = pusher.endpoint.post(&target).bearer(&pusher.token).body("").send().expect(503);
    assert!(reply.header("Retry-After").is_some());
}
