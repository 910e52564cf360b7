//! A disk that is not there, at the start or from one moment to the next, is never mistaken for an empty one.

use std::fs;

use super::mounts::{at_next_start, disk, run, site, view};
use super::{condition, local, wait_for_state, wait_until_readable};
use crate::harness::{Path, SOON, Site, wait_for};

/// A disk is mounted where the storage has its root. What is on it is kept from start to start.
const MOUNTED: &str = "mkdir -p medium usb
mount --bind medium usb
";

fn push(site: &Site, name: &str) -> Path {
    let path = Path::incompressible(name, 20_000);
    site.pusher("pub").push(&path);
    path
}

/// The mount point is as empty as it was made.
#[track_caller]
fn assert_nothing_beneath(site: &mut Site) {
    let beneath: Vec<_> =
        fs::read_dir(view(site, "usb")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(beneath.is_empty(), "{beneath:?}");
}

#[test]
fn a_disk_that_is_not_mounted_is_passed_over_until_it_is() {
    let mut site =
        site(MOUNTED, "in-order", |directory| vec![local(directory, "usb"), local(directory, "disk")]);
    let before = push(&site, "before");
    assert!(disk(&mut site, "usb").holds(&before));

    assert!(site.daemon().terminate().success());
    at_next_start(&site, "");
    site.restart();
    let usb = condition(&site, "usb");
    assert_eq!(usb["state"], "failing", "{usb}");
    let error = usb["last_error"].as_str().unwrap();
    assert!(error.contains("mounted") && error.contains("usb"), "{error}");
    assert!(site.daemon().log().contains(error), "the log says so too");
    assert_eq!(site.reader("pub").narinfo_status(&before), 404);
    assert_eq!(site.reader("pub").get(&before.file_url()).status, 404);
    let without = push(&site, "without");
    assert!(disk(&mut site, "disk").holds(&without));
    assert_nothing_beneath(&mut site);

    run(&mut site, "mount --bind medium usb");
    wait_for_state(&site, "usb", "ok");
    wait_until_readable(&site, &[before.clone(), without]);
    let again = push(&site, "again");
    assert!(disk(&mut site, "usb").holds(&again));

    // The disk is pulled out while the daemon runs.
    run(&mut site, "umount --lazy usb");
    let pulled = push(&site, "pulled");
    assert!(disk(&mut site, "disk").holds(&pulled));
    wait_for(SOON, "what was on the disk is hidden", || {
        let reader = site.reader("pub");
        let nar = reader.get(&before.file_url());
        assert!(nar.status == 404 || nar.body == before.file, "{}", nar.status);
        (reader.narinfo_status(&before) == 404 && nar.status == 404).then_some(())
    });
    assert_nothing_beneath(&mut site);
    push(&site, "still-without");
    assert_nothing_beneath(&mut site);

    run(&mut site, "mount --bind medium usb");
    wait_for_state(&site, "usb", "ok");
    wait_until_readable(&site, &[before, again, pulled]);
    assert_eq!(condition(&site, "usb")["damaged"], 0, "being away is no damage");
}
