//! Files that are read come to the fast storages.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use super::demotion::mortal;
use super::medium::Medium;
use super::tiers::{SETTLED, media, opened, two_disks};
use super::{assert_all_readable, condition, paths, with};
use crate::harness::site::DIE_AT;
use crate::harness::{Path, Site, wait_for};
use crate::metrics::scrape::Scrape;

/// A site on whose slow disk there are so many files, and whose fast one has become empty and of this size.
fn with_files_on_the_slow_disk(files: usize, size: &str) -> (Site, Vec<Path>) {
    let promotes = |[fast, slow]: &mut [Value; 2]| {
        *fast = with(with(with(fast.clone(), "promote", true), "max-size", size), "draining", true);
        *slow = with(slow.clone(), "durable", true);
    };
    let mut site = two_disks(promotes);
    let all = paths(vec![20_000; files]);
    super::push_side_by_side(&site, &all, 4);
    site.reconfigure(|config| config["caches"][0]["storages"][0]["draining"] = json!(false));
    (site, all)
}

fn count(medium: &Medium<'_>, paths: &[Path]) -> usize {
    let files = medium.files();
    paths.iter().filter(|path| files.contains_key(&path.file_url())).count()
}

/// Waits until so many of the paths are on the fast disk, for readers to see.
fn wait_until_promoted(site: &Site, paths: &[Path], wanted: usize) {
    let fast = &media(site)[0];
    wait_for(SETTLED, "the files are on the fast disk", || {
        let copies = condition(site, "fast")["copies"].as_u64().unwrap_or(0);
        (count(fast, paths) >= wanted && copies as usize >= wanted).then_some(())
    });
}

/// How many rounds of the worker have ended.
fn rounds(site: &Site) -> f64 {
    Scrape::of(site).get("cache_server_worker_runs_total", &[("worker", "tiers")])
}

#[test]
fn a_working_set_that_fits_is_served_from_the_fast_tier_after_the_first_read() {
    let (mut site, all) = with_files_on_the_slow_disk(100, "4MB");
    assert_all_readable(&site, &all);
    wait_until_promoted(&site, &all, 99);
    let before = opened(&site, "slow");
    for _ in 0..3 {
        assert_all_readable(&site, &all);
    }
    let slow = opened(&site, "slow") - before;
    assert!(slow <= 3.0, "{slow} of 300 reads came from the slow disk");
    // It stays so.
    site.crash_and_restart();
    let before = opened(&site, "slow");
    assert_all_readable(&site, &all);
    assert!(opened(&site, "slow") - before <= 1.0);
    site.cachectl_ok(&["fsck"]);
    assert!(count(&media(&site)[0], &all) >= 99);
}

#[test]
fn a_scan_of_everything_leaves_the_working_set_on_the_fast_tier() {
    let (site, all) = with_files_on_the_slow_disk(130, "1MB");
    let (working, rest) = all.split_at(30);
    assert_all_readable(&site, working);
    wait_until_promoted(&site, working, 30);
    for _ in 0..2 {
        assert_all_readable(&site, rest);
        assert_all_readable(&site, working);
        // Until nothing waits for its promotion any more.
        let rounds = rounds(&site);
        wait_for(SETTLED, "the worker has looked", || (self::rounds(&site) >= rounds + 2.0).then_some(()));
        let before = opened(&site, "slow");
        assert_all_readable(&site, working);
        assert_eq!(opened(&site, "slow"), before, "all are on the fast disk");
        assert_eq!(count(&media(&site)[0], working), 30);
    }
    let used = condition(&site, "fast")["used_bytes"].as_u64().unwrap();
    assert!(used <= 900_000, "{used} bytes: a tenth is left to pushes");
}

#[test]
fn what_is_read_again_takes_the_place_of_what_is_not() {
    let (site, all) = with_files_on_the_slow_disk(60, "700kB");
    let (first, second) = all.split_at(30);
    assert_all_readable(&site, first);
    wait_until_promoted(&site, first, 25);
    wait_for(SETTLED, "the new working set is on the fast disk", || {
        assert_all_readable(&site, second);
        (count(&media(&site)[0], second) >= 20).then_some(())
    });
    assert_all_readable(&site, &all);
    assert!(condition(&site, "fast")["used_bytes"].as_u64().unwrap() <= 630_000);
    site.cachectl_ok(&["fsck"]);
}

/// Steps of a promotion at which the daemon can die.
const STEPS: [&str; 6] = [
    "promote-claimed",
    "copy-stored",
    "copy-described",
    "copies-synced",
    "copies-recorded",
    "promote-copied",
];

#[test]
fn killed_at_every_step_of_a_promotion() {
    let mut site = mortal(|[fast, _]| *fast = with(fast.clone(), "promote", true));
    let media = media(&site);
    let mut all = Vec::new();
    for step in STEPS {
        site.reconfigure(|config| config["caches"][0]["storages"][0]["draining"] = json!(true));
        let some = paths([20_000; 3]);
        some.iter().for_each(|path| site.pusher("pub").push(path));
        assert_eq!(count(&media[1], &some), 3);
        assert!(site.daemon().terminate().success());
        fs::write(site.directory().join(DIE_AT), step).unwrap();
        site.edit_config(|config| config["caches"][0]["storages"][0]["draining"] = json!(false));
        site.restart();
        wait_for(SETTLED, step, || {
            let _ = catch_unwind(AssertUnwindSafe(|| assert_all_readable(&site, &some)));
            site.daemon().has_ended()
        });
        fs::remove_file(site.directory().join(DIE_AT)).unwrap();
        site.restart();
        all.extend(some);
        wait_for(SETTLED, "everything is on both disks", || {
            assert_all_readable(&site, &all);
            media.iter().all(|medium| count(medium, &all) == all.len()).then_some(())
        });
    }
    site.cachectl_ok(&["fsck"]);
    assert_all_readable(&site, &all);
    assert!(media.iter().all(|medium| medium.nars().len() == all.len()));
}
