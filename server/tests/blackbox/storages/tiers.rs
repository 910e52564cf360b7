//! Fast storages before slow ones.

use std::time::Duration;

use serde_json::{Value, json};

use super::copies::{has_all_of, wait_for_copies};
use super::medium::Medium;
use super::{assert_all_readable, condition, disk, local, paths, with};
use crate::harness::{Path, SOON, Site, wait_for};
use crate::metrics::scrape::{Scrape, with_metrics};

/// How long it may take until files are where they belong.
pub(super) const SETTLED: Duration = Duration::from_secs(60);

/// A fast disk before a slow one. `edit` changes these two storages.
pub(super) fn two_disks(edit: impl Fn(&mut [Value; 2])) -> Site {
    Site::with_files(|config, directory| {
        let mut storages = [local(directory, "fast"), with(local(directory, "slow"), "tier", 1)];
        edit(&mut storages);
        super::declare(config, "in-order", storages.to_vec());
        with_metrics(config);
    })
}

pub(super) fn media(site: &Site) -> [Medium<'static>; 2] {
    [disk(site, "fast"), disk(site, "slow")]
}

/// How often NARs and other files were opened on a storage.
pub(super) fn opened(site: &Site, storage: &str) -> f64 {
    let labels = [("cache", "pub"), ("storage", storage), ("operation", "open")];
    Scrape::of(site).get("cache_server_storage_operations_total", &labels)
}

#[test]
fn pushes_go_to_the_fast_tier_until_it_is_full() {
    let site = two_disks(|[fast, _]| *fast = with(fast.clone(), "max-size", "200kB"));
    let [fast, slow] = media(&site);
    let all = paths([20_000; 14]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    let on = |medium: &Medium<'_>| all.iter().map(|path| medium.holds(path)).collect::<Vec<_>>();
    let (on_fast, on_slow) = (on(&fast), on(&slow));
    let switch = on_fast.iter().filter(|is_there| **is_there).count();
    assert!((6..=9).contains(&switch), "{on_fast:?}");
    assert!(on_fast[..switch].iter().chain(&on_slow[switch..]).all(|is_there| *is_there), "{on_fast:?}");
    assert!(on_slow[..switch].iter().all(|is_there| !is_there), "{on_slow:?}");
    assert_eq!(condition(&site, "slow")["tier"], 1);
    let list = site.cachectl_ok(&["storage", "list"]);
    assert!(list.contains("TIER"), "{list}");
    assert_all_readable(&site, &all);
}

#[test]
fn each_push_gets_a_durable_copy_and_is_read_from_the_fast_tier() {
    let mut site = two_disks(|[_, slow]| *slow = with(slow.clone(), "durable", true));
    let media = media(&site);
    let all = paths([20_000; 10]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    wait_for_copies(&media, &all, 2);
    let before = opened(&site, "slow");
    for _ in 0..3 {
        assert_all_readable(&site, &all);
    }
    assert_eq!(opened(&site, "slow"), before, "the slow disk is left alone");
    site.cachectl_ok(&["fsck"]);
    wait_for_copies(&media, &all, 2);

    // The fast disk dies, and nothing is lost.
    assert!(site.daemon().terminate().success());
    site.edit_config(|config| drop(config["caches"][0]["storages"].as_array_mut().unwrap().remove(0)));
    site.restart();
    assert_all_readable(&site, &all);
}

#[test]
fn a_storage_that_becomes_durable_gets_what_was_there_before() {
    let mut site = two_disks(|_| {});
    let media = media(&site);
    let all = paths([20_000; 10]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    assert!(all.iter().all(|path| media[0].holds(path) && !media[1].holds(path)));
    site.reconfigure(|config| config["caches"][0]["storages"][1]["durable"] = json!(true));
    wait_for_copies(&media, &all, 2);
    // It is not durable any more, and the copy on the slow tier is enough as well.
    site.reconfigure(|config| config["caches"][0]["storages"][1]["durable"] = json!(false));
    assert_all_readable(&site, &all);
    assert!(all.iter().all(|path| has_all_of(&media[0], path)));
}

#[test]
fn one_of_two_copies_is_durable() {
    let site = Site::with_files(|config, directory| {
        let durable = with(with(local(directory, "slow"), "tier", 1), "durable", true);
        super::declare(
            config,
            "round-robin",
            vec![local(directory, "fast"), local(directory, "fast-2"), durable],
        );
        config["caches"][0]["copies"] = json!(2);
    });
    let fast = [disk(&site, "fast"), disk(&site, "fast-2")];
    let all = paths([20_000; 12]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    wait_for_copies(&[disk(&site, "slow")], &all, 1);
    wait_for_copies(&fast, &all, 1);
}

#[test]
fn a_slow_disk_that_is_emptied_leaves_the_fast_tier_alone() {
    let mut site = Site::with_files(|config, directory| {
        let slow = |name: &str| with(local(directory, name), "tier", 1);
        super::declare(config, "in-order", vec![local(directory, "fast"), slow("slow"), slow("slow-2")]);
    });
    site.reconfigure(|config| config["caches"][0]["storages"][0]["max-size"] = json!("50kB"));
    let all: Vec<Path> = paths([20_000; 6]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    let before = disk(&site, "fast").nars();
    site.reconfigure(|config| {
        config["caches"][0]["storages"][0]["max-size"] = json!("1GB");
        config["caches"][0]["storages"][1]["draining"] = json!(true);
    });
    site.cachectl_ok(&["storage", "drain", "slow"]);
    assert_eq!(disk(&site, "fast").nars(), before);
    wait_for(SOON, "the slow disk is empty", || disk(&site, "slow").nars().is_empty().then_some(()));
    assert_all_readable(&site, &all);
}
