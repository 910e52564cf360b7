//! The same NAR in several caches of a daemon: one file on the disk, and a file of its own for each cache that looks at it.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use super::{BACK, local};
use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, EIO, ENOSPC, Fault};
use crate::harness::site::DIE_AT;
use crate::harness::{Path, SOON, Site, wait_for};

/// Two public caches with storages below the same directory.
const BOTH: [&str; 2] = ["pub", "my-cache-2"];

/// The errors of file systems without links, of files with too many, of other file systems, and of full ones.
const EPERM: i32 = 1;
const EXDEV: i32 = 18;
const EMLINK: i32 = 31;
const EOPNOTSUPP: i32 = 95;
const EDQUOT: i32 = 122;

fn file(site: &Site, cache: &str, path: &Path) -> PathBuf {
    site.storage_dir(cache).join(path.file_url())
}

fn inode(site: &Site, cache: &str, path: &Path) -> Option<u64> {
    fs::metadata(file(site, cache, path)).ok().map(|file| file.ino())
}

fn is_shared(site: &Site, caches: [&str; 2], path: &Path) -> bool {
    let [one, other] = caches.map(|cache| inode(site, cache, path));
    one.is_some() && one == other
}

#[track_caller]
fn wait_until_shared(site: &Site, caches: [&str; 2], path: &Path) {
    wait_for(SOON, "both caches have one file", || is_shared(site, caches, path).then_some(()));
}

/// Pushes a path to both caches and waits until they share its file.
#[track_caller]
fn push_to_both(site: &Site, path: &Path) {
    BOTH.iter().for_each(|cache| site.pusher(cache).push(path));
    wait_until_shared(site, BOTH, path);
}

fn delete(site: &Site, cache: &str, path: &Path) {
    site.cachectl_ok(&["path", "delete", &path.hash, "--cache", cache]);
}

#[track_caller]
fn assert_readable(site: &Site, path: &Path) {
    for cache in BOTH {
        site.reader(cache).assert_has(path);
    }
}

/// Bytes of the NAR files as all caches have them, and as the disk has them.
fn physical(site: &Site, arguments: &[&str]) -> (u64, u64) {
    let usage = site.cachectl_ok(&[&["usage", "--physical", "--json"], arguments].concat());
    let usage: Value = serde_json::from_str(&usage).unwrap();
    let physical = &usage["physical"];
    let of_storage = &physical["storages"][0];
    assert_eq!(physical["storages"].as_array().unwrap().len(), 1, "all lie below one directory: {usage}");
    for figure in ["file_bytes", "physical_bytes"] {
        assert_eq!(physical[figure], of_storage[figure], "{usage}");
    }
    (physical["file_bytes"].as_u64().unwrap(), physical["physical_bytes"].as_u64().unwrap())
}

/// Replaces the file of a cache by one of its own, as it was before there were links.
fn part(site: &Site, cache: &str, path: &Path) {
    let (file, new) = (file(site, cache, path), site.directory().join("parted"));
    fs::copy(&file, &new).unwrap();
    fs::rename(&new, &file).unwrap();
}

#[test]
fn the_same_nar_of_two_caches_is_one_file_until_one_of_them_removes_it() {
    let site = Site::start();
    let path = Path::incompressible("shared", 300_000);
    let size = path.file.len() as u64;
    push_to_both(&site, &path);
    assert_readable(&site, &path);
    assert_eq!(physical(&site, &[]), (2 * size, size));
    assert_eq!(physical(&site, &["--cache", "pub"]), (size, size));
    let text = site.cachectl_ok(&["usage", "--physical"]);
    assert!(text.contains("my-cache-2") && text.contains("PHYSICAL"), "{text}");
    let usage: Value = serde_json::from_str(&site.cachectl_ok(&["usage", "--json"])).unwrap();
    let stored: u64 =
        usage["storages"].as_array().unwrap().iter().map(|it| it["used_bytes"].as_u64().unwrap()).sum();
    assert_eq!(stored, 2 * size, "each cache has its own");
    assert!(usage.get("physical").is_none(), "{usage}");

    delete(&site, "my-cache-2", &path);
    assert_eq!(inode(&site, "my-cache-2", &path), None);
    site.reader("my-cache-2").assert_lacks(&path);
    site.reader("pub").assert_has(&path);
    assert_eq!(physical(&site, &[]), (size, size));
    push_to_both(&site, &path);
    delete(&site, "pub", &path);
    site.reader("my-cache-2").assert_has(&path);
    delete(&site, "my-cache-2", &path);
    assert_eq!(physical(&site, &[]), (0, 0));
}

#[test]
fn a_private_cache_shares_files_with_private_caches_only() {
    let mut site = Site::start();
    let path = Path::incompressible("secret", 50_000);
    site.pusher("priv").push(&path);
    push_to_both(&site, &path);
    let mode = |cache: &str| fs::metadata(file(&site, cache, &path)).unwrap().mode() & 0o777;
    assert_eq!((mode("priv"), mode("pub")), (0o640, 0o644));
    assert!(!is_shared(&site, ["priv", "pub"], &path));
    site.cachectl_ok(&["storage", "scrub"]);
    assert!(!is_shared(&site, ["priv", "pub"], &path));

    site.reconfigure(|config| config["caches"][3]["access"] = json!("private"));
    assert!(is_shared(&site, BOTH, &path), "what is one file stays one");
    site.cachectl_ok(&["storage", "scrub"]);
    assert!(!is_shared(&site, ["priv", "my-cache-2"], &path), "a file that others may read");
    let path = Path::incompressible("another-secret", 50_000);
    ["priv", "my-cache-2", "pub"].iter().for_each(|cache| site.pusher(cache).push(&path));
    wait_until_shared(&site, ["priv", "my-cache-2"], &path);
    assert!(!is_shared(&site, ["priv", "pub"], &path));
    ["priv", "my-cache-2", "pub"].iter().for_each(|cache| drop(site.reader(cache).assert_has(&path)));
}

#[test]
fn a_scrub_shares_what_was_pushed_before() {
    let site = Site::start();
    let path = Path::incompressible("old", 50_000);
    push_to_both(&site, &path);
    part(&site, "pub", &path);
    assert!(!is_shared(&site, BOTH, &path));
    site.cachectl_ok(&["storage", "scrub"]);
    assert!(is_shared(&site, BOTH, &path));
    assert_readable(&site, &path);
}

#[test]
fn a_file_that_moves_to_the_storage_of_another_cache_is_shared_there() {
    let mut site = Site::with_files(|config, directory| {
        config["caches"][0]["storages"] = json!([local(directory, "a"), local(directory, "b")]);
        config["caches"][3]["storages"] = json!([local(directory, "b")]);
        config["caches"][0]["storage-strategy"] = json!("in-order");
    });
    let path = Path::incompressible("moving", 50_000);
    BOTH.iter().for_each(|cache| site.pusher(cache).push(&path));
    let inode = |site: &Site, place: &str| {
        fs::metadata(site.directory().join(place).join(path.file_url())).ok().map(|file| file.ino())
    };
    assert_ne!(inode(&site, "a/pub"), inode(&site, "b/my-cache-2"));
    site.reconfigure(|config| config["caches"][0]["storages"][0]["draining"] = json!(true));
    site.cachectl_ok(&["storage", "drain", "a", "--cache", "pub"]);
    assert_eq!(inode(&site, "a/pub"), None);
    wait_for(SOON, "both caches have one file", || {
        (inode(&site, "b/pub")? == inode(&site, "b/my-cache-2")?).then_some(())
    });
    assert_readable(&site, &path);
}

#[test]
fn damage_to_a_shared_file_hides_the_path_in_both_caches_and_each_heals_by_its_own_push() {
    let site = Site::start();
    let path = Path::incompressible("damaged", 50_000);
    push_to_both(&site, &path);
    let shared = fs::File::options().write(true).open(file(&site, "pub", &path)).unwrap();
    shared.write_all_at(b"damage", 1000).unwrap();
    let scrub = site.cachectl(&["storage", "scrub", "--cache", "pub", "--json"]);
    assert_eq!(scrub.status.code(), Some(9), "{}", String::from_utf8_lossy(&scrub.stderr));
    let end = super::jobs::last_event(&scrub);
    assert_eq!(end["summary"]["damaged"], 2, "{end}");
    for cache in BOTH {
        site.reader(cache).assert_lacks(&path);
    }
    site.pusher("pub").push(&path);
    site.reader("pub").assert_has(&path);
    site.reader("my-cache-2").assert_lacks(&path);
    // A scrub of the cache that is well must not take the damage from the other one, nor give away what was not asked for.
    site.cachectl_ok(&["storage", "scrub", "--cache", "pub"]);
    site.reader("pub").assert_has(&path);
    site.reader("my-cache-2").assert_lacks(&path);
    site.pusher("my-cache-2").push(&path);
    wait_until_shared(&site, BOTH, &path);
    assert_readable(&site, &path);
}

#[test]
fn damage_to_a_file_of_its_own_does_not_spread() {
    let site = Site::start();
    let path = Path::incompressible("damaged", 50_000);
    push_to_both(&site, &path);
    part(&site, "pub", &path);
    let own = fs::File::options().write(true).open(file(&site, "pub", &path)).unwrap();
    own.write_all_at(b"damage", 1000).unwrap();
    let scrub = site.cachectl(&["storage", "scrub", "--cache", "pub"]);
    assert_eq!(scrub.status.code(), Some(9), "{}", String::from_utf8_lossy(&scrub.stderr));
    site.reader("pub").assert_lacks(&path);
    site.reader("my-cache-2").assert_has(&path);
}

#[test]
fn killed_while_a_file_is_shared() {
    let mut site = Site::mortal(|_, _| {});
    for (step, removed) in [
        ("share-linked", None),
        ("share-replaced", None),
        ("share-synced", None),
        ("share-linked", Some("pub")),
        ("share-replaced", Some("pub")),
        ("share-replaced", Some("my-cache-2")),
    ] {
        let path = Path::incompressible(step, 50_000);
        site.pusher("pub").push(&path);
        fs::write(site.directory().join(DIE_AT), step).unwrap();
        assert!(site.stop_and_restart().success());
        site.pusher("my-cache-2").push(&path);
        let killed = wait_for(SOON, "it dies", || site.daemon().has_ended());
        assert!(!killed.success(), "{step}");
        fs::remove_file(site.directory().join(DIE_AT)).unwrap();
        site.restart();
        assert_readable(&site, &path);
        BOTH.iter().for_each(|cache| site.wait_for_empty_spool(cache));
        assert_eq!(is_shared(&site, BOTH, &path), step != "share-linked", "{step}");
        let left = match removed {
            None => BOTH.to_vec(),
            Some(cache) => {
                delete(&site, cache, &path);
                site.reader(cache).assert_lacks(&path);
                BOTH.iter().filter(|other| **other != cache).copied().collect()
            }
        };
        left.iter().for_each(|cache| drop(site.reader(cache).assert_has(&path)));
        site.cachectl_ok(&["storage", "scrub"]);
        assert_eq!(is_shared(&site, BOTH, &path), removed.is_none(), "{step}");
        site.cachectl_ok(&["fsck"]);
    }
}

#[test]
fn pushes_and_deletions_of_the_same_nars_in_both_caches_disturb_nobody() {
    let site = Site::start();
    let all: Vec<Path> =
        (0..4).map(|number| Path::incompressible(&format!("busy-{number}"), 20_000)).collect();
    thread::scope(|scope| {
        for cache in BOTH {
            for path in &all {
                let site = &site;
                scope.spawn(move || {
                    for _ in 0..6 {
                        site.pusher(cache).push(path);
                        site.reader(cache).assert_has(path);
                        delete(site, cache, path);
                        site.reader(cache).assert_lacks(path);
                    }
                    site.pusher(cache).push(path);
                });
            }
        }
    });
    for path in &all {
        wait_until_shared(&site, BOTH, path);
        assert_readable(&site, path);
    }
    site.cachectl_ok(&["fsck"]);
    let names: Vec<String> = all.iter().map(|path| path.file_url()).collect();
    for cache in BOTH {
        assert_eq!(site.stored_nars(cache).len(), names.len(), "nothing is left over");
    }
}

#[test]
fn a_file_system_that_refuses_links_is_left_as_it_is_and_no_storage_is_blamed() {
    let site = faulty_site("/storage/");
    let path = Path::incompressible("refused", 50_000);
    for code in [EPERM, EMLINK, EXDEV, ENOSPC, EDQUOT, EOPNOTSUPP] {
        faulty::set(site.directory(), Some(Fault::Link(code)));
        BOTH.iter().for_each(|cache| site.pusher(cache).push(&path));
        site.cachectl_ok(&["storage", "scrub"]);
        assert!(!is_shared(&site, BOTH, &path), "{code}");
        assert_readable(&site, &path);
        let log = fs::read_to_string(site.directory().join("daemon.log")).unwrap();
        assert!(!log.contains("out of use") && !log.contains("could not share"), "{code}: {log}");
        assert!(BOTH.iter().all(|cache| site.spooled_files(cache).is_empty()), "{code}");
    }
    faulty::set(site.directory(), None);
    site.cachectl_ok(&["storage", "scrub"]);
    assert!(is_shared(&site, BOTH, &path));
}

#[test]
fn a_disk_that_fails_while_a_file_is_shared_loses_nothing() {
    let site = faulty_site("/storage/pub/");
    for (number, fault) in (1..=4).map(|number| (number, Fault::Nth { number, code: EIO, sticks: false })) {
        let path = Path::incompressible(&format!("failing-{number}"), 50_000);
        wait_for(BACK, "the storage is in use again", || {
            (site.pusher("pub").try_push(&path).status == 200).then_some(())
        });
        push_to_both(&site, &path);
        part(&site, "pub", &path);
        // A link is made, renamed, removed where it was, and synced.
        faulty::set(site.directory(), Some(fault));
        site.cachectl(&["storage", "scrub", "--cache", "my-cache-2"]);
        assert!(faulty::has_hit(site.directory()), "{number}");
        faulty::set(site.directory(), None);
        wait_for(SOON, "both can be read", || {
            BOTH.iter().all(|cache| site.reader(cache).narinfo_status(&path) == 200).then_some(())
        });
        assert_readable(&site, &path);
        site.cachectl_ok(&["storage", "scrub"]);
        assert!(is_shared(&site, BOTH, &path), "{number}");
    }
}

/// A daemon whose links, and other changes of files whose path contains `files`, can be made to fail.
fn faulty_site(files: &'static str) -> Site {
    Site::launched(
        |_, _| {},
        move |directory| {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            faulty::preload(&mut command, directory, files);
            command
        },
    )
}
