//! A catalog that is older than what lies on the storages gets back what it lacks.

use std::fs::{self, File};
use std::path::Path as FilePath;

use serde_json::json;

use super::{copy_directory, lose_state, pushed, text, wait_until_back, wait_until_recovered};
use crate::harness::{Cluster, Path, SOON, Site, wait_for};
use crate::storages::bucket::Bucket;

/// What the log says when a storage is found to be ahead of the catalog.
const NOTICED: [&str; 2] = ["the catalog is older than this storage", "the catalog has lost paths"];
/// What it says at the end.
const RECOVERED: &str = "paths that the catalog had lost are back";

fn has_noticed(site: &mut Site) -> bool {
    let log = site.daemon().log();
    NOTICED.iter().any(|text| log.contains(text))
}

fn many(site: &Site, count: usize) -> Vec<Path> {
    (0..count).map(|number| pushed(site, &format!("path-{number}"))).collect()
}

/// Cuts the file to this share of its length.
fn cut(file: &FilePath, percent: u64) {
    let file = File::options().write(true).open(file).unwrap();
    file.set_len(file.metadata().unwrap().len() * percent / 100).unwrap();
}

#[test]
fn no_acknowledged_path_is_lost_with_the_end_of_a_write_ahead_log() {
    for percent in [0, 40, 60, 97] {
        let mut site = Site::start();
        // So that the schema is not in the log.
        assert!(site.stop_and_restart().success());
        let paths = many(&site, 40);
        site.daemon().kill9();
        cut(&site.state_dir().join("db.sqlite-wal"), percent);
        site.restart();
        wait_until_back(&site, &paths);
        assert!(has_noticed(&mut site), "{percent} %");
        wait_for(SOON, "it is in the log", || site.daemon().log().contains(RECOVERED).then_some(()));
        wait_until_recovered(&site);
        site.cachectl_ok(&["fsck"]);
    }
}

#[test]
fn a_storage_is_not_searched_after_a_crash_that_lost_nothing() {
    let mut site = Site::start();
    let mut paths = many(&site, 10);
    // One that is gone again is not missed either.
    site.cachectl_ok(&["path", "delete", &paths.pop().unwrap().hash, "--cache", "pub"]);
    for _ in 0..3 {
        site.crash_and_restart();
        paths.extend(many(&site, 5));
    }
    assert!(site.stop_and_restart().success());
    wait_until_back(&site, &paths);
    assert!(!has_noticed(&mut site));
}

/// Puts an earlier copy of the database in the place of the current one.
fn put_back(site: &Site, copy: &FilePath) {
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(site.state_dir().join(format!("db.sqlite{end}")));
    }
    fs::copy(copy, site.state_dir().join("db.sqlite")).unwrap();
}

/// A copy of the database of a daemon that has ended.
fn copy_of_database(site: &mut Site) -> std::path::PathBuf {
    assert!(site.daemon().terminate().success());
    let copy = site.directory().join("db.copy");
    fs::copy(site.state_dir().join("db.sqlite"), &copy).unwrap();
    site.restart();
    copy
}

#[test]
fn an_earlier_copy_of_the_database_gets_the_newer_paths_back() {
    let mut site = Site::start();
    let mut paths = many(&site, 3);
    let copy = copy_of_database(&mut site);
    paths.extend(many(&site, 3));
    // Once after an orderly end, once after a crash, and once more over what was recovered.
    for crashes in [false, true, false] {
        if crashes {
            site.daemon().kill9();
        } else {
            assert!(site.daemon().terminate().success());
        }
        put_back(&site, &copy);
        site.restart();
        wait_until_back(&site, &paths);
        wait_until_recovered(&site);
        assert!(has_noticed(&mut site));
        paths.push(pushed(&site, "later"));
    }
    site.cachectl_ok(&["fsck"]);
}

#[test]
fn an_older_catalog_serves_of_what_was_removed_since_what_is_still_there() {
    for trash in ["off", "1d"] {
        let mut site = Site::with(|config| config["server"]["trash"] = json!(trash));
        let paths = many(&site, 3);
        let copy = copy_of_database(&mut site);
        site.cachectl_ok(&["path", "delete", &paths[0].hash, "--cache", "pub"]);
        assert!(site.daemon().terminate().success());
        let is_stored = site.storage_dir("pub").join(paths[0].file_url()).exists();
        assert_eq!(is_stored, trash != "off");
        put_back(&site, &copy);
        site.restart();
        wait_until_recovered(&site);
        wait_until_back(&site, &paths[1..]);
        assert_eq!(site.reader("pub").narinfo_status(&paths[0]), if is_stored { 200 } else { 404 });
    }
}

#[test]
fn what_was_restored_from_the_trash_since_is_served_by_an_older_catalog() {
    let mut site = Site::with(|config| config["server"]["trash"] = json!("1d"));
    let paths = many(&site, 2);
    site.cachectl_ok(&["path", "delete", &paths[0].hash, "--cache", "pub"]);
    let copy = copy_of_database(&mut site);
    assert_eq!(site.reader("pub").narinfo_status(&paths[0]), 404);
    site.cachectl_ok(&["path", "restore", &paths[0].hash, "--cache", "pub"]);
    let narinfo = site.storage_dir("pub").join(format!("{}.narinfo", paths[0].hash));
    wait_for(SOON, "its narinfo is written", || narinfo.exists().then_some(()));
    assert!(site.daemon().terminate().success());
    put_back(&site, &copy);
    site.restart();
    wait_until_back(&site, &paths);
}

#[test]
fn paths_that_were_moved_since_are_found_where_they_are() {
    let mut site = Site::with_files(|config, directory| {
        let disk = |name: &str| json!({"name": name, "type": "local", "root": directory.join(name)});
        config["caches"][0]["storages"] = json!([disk("first"), disk("second")]);
        config["caches"][0]["storage-strategy"] = json!("in-order");
    });
    let paths = many(&site, 5);
    let copy = copy_of_database(&mut site);
    site.cachectl_ok(&["storage", "drain", "first", "--cache", "pub"]);
    assert!(site.daemon().terminate().success());
    put_back(&site, &copy);
    site.restart();
    wait_until_recovered(&site);
    wait_until_back(&site, &paths);
    let second = site.directory().join("second/pub");
    for path in &paths {
        assert!(second.join(path.file_url()).exists(), "the only copy of {} is gone", path.name);
    }
}

#[test]
fn an_earlier_copy_of_the_whole_state_directory_is_noticed_in_a_bucket() {
    let bucket = Bucket::start();
    let mut site = Site::with(|config| config["caches"][0]["storages"] = json!([bucket.storage("cloud")]));
    let mut paths = many(&site, 3);
    assert!(site.daemon().terminate().success());
    let copy = site.directory().join("state.copy");
    copy_directory(&site.state_dir(), &copy);
    site.restart();
    paths.extend(many(&site, 3));
    assert!(site.daemon().terminate().success());
    lose_state(&site);
    copy_directory(&copy, &site.state_dir());
    site.restart();
    wait_until_back(&site, &paths);
    assert!(has_noticed(&mut site));
}

/// A database server that was set back, under daemons that share it.
#[test]
fn a_database_server_that_was_set_back_gets_the_newer_paths_back() {
    let mut cluster = Cluster::start();
    let paths = many(&cluster.a, 4);
    for site in [&mut cluster.a, &mut cluster.b] {
        assert!(site.daemon().terminate().success());
    }
    cluster.run_sql(
        "DELETE FROM unpublished_path; DELETE FROM reference; DELETE FROM store_path; DELETE FROM nar; \
         UPDATE storage_generation SET generation = 1",
    );
    for site in [&mut cluster.a, &mut cluster.b] {
        site.restart();
    }
    for site in [&cluster.a, &cluster.b] {
        wait_until_back(site, &paths);
    }
    assert!(has_noticed(&mut cluster.a) || has_noticed(&mut cluster.b));
}

#[test]
fn a_storage_that_cannot_be_read_is_searched_when_it_is_back() {
    let mut site = Site::start();
    let mut paths = many(&site, 3);
    let copy = copy_of_database(&mut site);
    paths.extend(many(&site, 3));
    assert!(site.daemon().terminate().success());
    put_back(&site, &copy);
    let (storage, away) = (site.storage_dir("pub"), site.directory().join("away"));
    fs::rename(&storage, &away).unwrap();
    site.restart();
    assert!(text(&super::finding(&site, "storage pub/disk")).contains("does not work"));
    fs::rename(&away, &storage).unwrap();
    let long = SOON * 5;
    for path in &paths {
        wait_for(long, "a path is back", || (site.reader("pub").narinfo_status(path) == 200).then_some(()));
    }
}
