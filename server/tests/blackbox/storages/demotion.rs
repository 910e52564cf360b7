//! Files that nobody uses leave the fast storages.

use std::fs;

use serde_json::json;

use super::copies::wait_for_copies;
use super::tiers::{SETTLED, media, two_disks};
use super::{assert_all_readable, condition, disk, local, paths, with};
use crate::harness::site::DIE_AT;
use crate::harness::{SOON, Site, wait_for};

#[test]
fn what_nobody_uses_moves_to_the_slow_tier() {
    let site = two_disks(|[fast, _]| *fast = with(fast.clone(), "demote-after", "1s"));
    let media = media(&site);
    let all = paths([20_000; 20]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    wait_for_copies(&media[1..], &all, 1);
    wait_for(SETTLED, "the fast disk is empty", || media[0].nars().is_empty().then_some(()));
    assert_all_readable(&site, &all);
    for (name, medium) in ["fast", "slow"].into_iter().zip(&media) {
        wait_for(SOON, "its bytes are counted", || {
            (condition(&site, name)["used_bytes"] == medium.bytes()).then_some(())
        });
    }
    site.cachectl_ok(&["fsck"]);
    // It is told at the end of a run.
    wait_for(SOON, "the worker tells of it", || {
        site.cachectl_ok(&["worker", "list"]).contains("demoted since the start").then_some(())
    });
    assert_all_readable(&site, &all);
}

#[test]
fn a_copy_on_the_fast_tier_is_given_up_once_slower_ones_are_as_many_as_configured() {
    let mut site = Site::with_files(|config, directory| {
        let slow = |name: &str| with(local(directory, name), "tier", 1);
        let durable = with(slow("durable"), "durable", true);
        super::declare(config, "in-order", vec![local(directory, "fast"), slow("slow"), durable]);
        config["caches"][0]["copies"] = json!(2);
    });
    let all = paths([20_000; 8]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    let (fast, slow) = ([disk(&site, "fast")], [disk(&site, "slow"), disk(&site, "durable")]);
    wait_for_copies(&slow[1..], &all, 1);
    wait_for_copies(&fast, &all, 1);
    site.reconfigure(|config| config["caches"][0]["storages"][0]["demote-after"] = json!("1s"));
    wait_for_copies(&slow, &all, 2);
    wait_for(SETTLED, "the fast disk is empty", || fast[0].nars().is_empty().then_some(()));
    assert_all_readable(&site, &all);
    // Nothing comes back because of a survey.
    site.restart_calmly();
    wait_for_copies(&slow, &all, 2);
    assert!(fast[0].nars().is_empty());
}

#[test]
fn a_copy_that_the_slow_disk_has_lost_is_replaced_before_the_fast_one_goes() {
    let mut site = two_disks(|[_, slow]| *slow = with(slow.clone(), "durable", true));
    let media = media(&site);
    let all = paths([20_000; 4]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    wait_for_copies(&media, &all, 2);
    all[..2].iter().for_each(|path| media[1].remove(&path.file_url()));
    site.reconfigure(|config| config["caches"][0]["storages"][0]["demote-after"] = json!("1s"));
    wait_for(SETTLED, "the fast disk is empty", || {
        for path in &all {
            assert_eq!(site.reader("pub").narinfo_status(path), 200);
        }
        media[0].nars().is_empty().then_some(())
    });
    assert!(all.iter().all(|path| media[1].holds(path)));
    assert_all_readable(&site, &all);
}

impl Site {
    fn restart_calmly(&mut self) {
        assert!(self.stop_and_restart().success());
    }
}

#[test]
fn a_full_fast_tier_makes_room_for_pushes_with_what_was_used_first() {
    let site = two_disks(|[fast, _]| {
        *fast = with(with(fast.clone(), "demote-after", "30d"), "max-size", "600kB");
    });
    let media = media(&site);
    let mut all = paths([20_000; 40]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    let on_fast = || all.iter().map(|path| media[0].holds(path)).collect::<Vec<_>>();
    wait_for(SETTLED, "there is room again", || {
        let condition = condition(&site, "fast");
        let used =
            condition["used_bytes"].as_u64().unwrap() + condition["by_product_bytes"].as_u64().unwrap();
        (used <= 540_000).then_some(())
    });
    let held = on_fast();
    assert!(!held[0] && held.iter().filter(|is_there| **is_there).count() >= 10, "{held:?}");
    let late = paths([20_000]);
    site.pusher("pub").push(&late[0]);
    assert!(media[0].holds(&late[0]), "a push finds room on the fast tier");
    all.extend(late);
    assert_all_readable(&site, &all);
}

/// Steps of a demotion at which the daemon can die.
const STEPS: [&str; 9] = [
    "demote-begun",
    "copy-stored",
    "copy-described",
    "copies-synced",
    "copies-recorded",
    "demote-copied",
    "demote-released",
    "copies-leaving",
    "copies-removed",
];

/// [`Site::mortal`] on a fast disk and a slow one.
pub(super) fn mortal(edit: impl Fn(&mut [serde_json::Value; 2])) -> Site {
    Site::mortal(|config, directory| {
        let mut storages = [local(directory, "fast"), with(local(directory, "slow"), "tier", 1)];
        edit(&mut storages);
        super::declare(config, "in-order", storages.to_vec());
    })
}

#[test]
fn killed_at_every_step_of_a_demotion() {
    let mut site = mortal(|_| {});
    let media = media(&site);
    let mut all = Vec::new();
    for step in STEPS {
        let some = paths([20_000; 3]);
        some.iter().for_each(|path| site.pusher("pub").push(path));
        all.extend(some);
        assert!(site.daemon().terminate().success());
        fs::write(site.directory().join(DIE_AT), step).unwrap();
        site.edit_config(|config| config["caches"][0]["storages"][0]["demote-after"] = json!("1s"));
        site.start_again();
        wait_for(SETTLED, step, || site.daemon().has_ended());
        fs::remove_file(site.directory().join(DIE_AT)).unwrap();
        site.restart();
        assert_all_readable(&site, &all);
        wait_for_copies(&media[1..], &all, 1);
        wait_for(SETTLED, "the fast disk is empty", || media[0].nars().is_empty().then_some(()));
        assert_all_readable(&site, &all);
        site.reconfigure(|config| {
            config["caches"][0]["storages"][0]["demote-after"] = serde_json::Value::Null;
        });
    }
    site.cachectl_ok(&["fsck"]);
    assert_eq!(media[1].nars().len(), all.len());
}
