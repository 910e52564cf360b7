//! The trash: what is removed can be restored for a while, and nobody sees it meanwhile.

mod by_products;
#[cfg(feature = "fail-points")]
mod crash;
pub mod disk;
mod room;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::path::random_hash;
use crate::harness::{Path, SOON, Site, wait_for};

const NOT_FOUND: i32 = 5;
const CONFLICT: i32 = 6;

/// Collects garbage only on demand, and then everything at once.
fn configure(config: &mut Value) {
    config["server"]["gc-interval"] = json!("off");
    config["server"]["gc-grace"] = json!("0s");
    config["server"]["trash"] = json!("24h");
}

fn site() -> Site {
    Site::with(configure)
}

/// What `cachectl ARGUMENTS --cache pub --json` prints last.
#[track_caller]
fn ask(site: &Site, arguments: &[&str]) -> Value {
    let text = site.cachectl_ok(&[arguments, &["--cache", "pub", "--json"]].concat());
    let whole = serde_json::from_str(&text);
    whole.unwrap_or_else(|_| serde_json::from_str(text.lines().next_back().unwrap()).unwrap())
}

/// Checks that `cachectl ARGUMENTS --cache pub` fails with this exit code, and returns its error.
#[track_caller]
fn fails(site: &Site, arguments: &[&str], code: i32) -> String {
    let output = site.cachectl(&[arguments, &["--cache", "pub"]].concat());
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    complaint
}

/// The paths in the trash, those that were removed first first.
fn trashed(site: &Site) -> Vec<String> {
    let list = ask(site, &["trash", "list"]);
    let rows = list["paths"].as_array().unwrap().iter();
    rows.map(|row| row["store_path"].as_str().unwrap().to_owned()).collect()
}

fn delete(site: &Site, path: &Path) {
    ask(site, &["path", "delete", &path.hash, "--recursive"]);
}

#[track_caller]
fn restore(site: &Site, path: &Path) -> Vec<String> {
    serde_json::from_value(ask(site, &["path", "restore", &path.hash])["paths"].clone()).unwrap()
}

/// Whether the storage has the path's NAR.
fn is_stored(site: &Site, path: &Path) -> bool {
    site.stored_nars("pub").iter().any(|nar| nar.contains(&path.file_hash_nix32()))
}

/// Files of the path beside its NAR, as a web server over the storage would serve them.
fn beside(site: &Site, path: &Path) -> Vec<String> {
    let mut files = site.stored_files("pub");
    files.retain(|file| file.starts_with(&path.hash));
    files
}

/// Catalog and storages agree.
#[track_caller]
fn assert_consistent(site: &Site) {
    let fsck = ask(site, &["fsck", "--dry-run"]);
    for storage in fsck["summary"]["storages"].as_array().unwrap() {
        for finding in ["missing", "wrong_size", "orphans_removed", "unknown_paths", "problems"] {
            assert_eq!(storage[finding], 0, "{finding} in {storage}");
        }
    }
}

/// Nobody sees the path, and its NAR is still there.
#[track_caller]
fn assert_hidden(site: &Site, path: &Path) {
    site.reader("pub").assert_lacks(path);
    assert_eq!(site.pusher("pub").missing(&[&path.hash]), [path.hash.as_str()]);
    assert_eq!(beside(site, path), Vec::<String>::new());
    let listed = ask(site, &["path", "list"])["paths"].to_string();
    assert!(!listed.contains(&path.hash), "{listed}");
    assert!(is_stored(site, path));
}

/// The path is served, and any web server over the storage could serve it.
#[track_caller]
fn assert_back(site: &Site, path: &Path) {
    site.reader("pub").assert_has(path);
    let files = [format!("{}.ls", path.hash), format!("{}.narinfo", path.hash)];
    wait_for(SOON, "its files are back", || (beside(site, path) == files).then_some(()));
}

#[test]
fn a_deleted_path_comes_back_with_its_closure() {
    let mut site = site();
    let pusher = site.pusher("pub");
    let library = Path::small("library");
    let program = Path::small("program").referring_to([library.base_name()]);
    let other = Path::small("other").referring_to([library.base_name()]);
    for path in [&library, &program, &other] {
        pusher.push(path);
        // Brings it into every memory.
        site.reader("pub").assert_has(path);
    }
    let deleted = ask(&site, &["path", "delete", &library.hash, "--recursive"]);
    assert_eq!(deleted["bytes_freed"], 0);
    let bytes: usize = [&library, &program, &other].iter().map(|path| path.file.len()).sum();
    assert_eq!(deleted["bytes_trashed"], bytes);
    assert!(deleted["restorable_until"].is_i64());
    for path in [&library, &program, &other] {
        assert_hidden(&site, path);
    }
    assert_eq!(trashed(&site).len(), 3);
    let storage = &ask(&site, &["usage"])["storages"][0];
    assert_eq!((&storage["used_bytes"], &storage["trash_bytes"]), (&json!(bytes), &json!(bytes)));
    assert_consistent(&site);

    assert!(site.stop_and_restart().success());
    assert_hidden(&site, &program);
    assert_eq!(restore(&site, &program), [program.store_path(), library.store_path()]);
    assert_back(&site, &program);
    assert_back(&site, &library);
    assert_hidden(&site, &other);
    assert_eq!(trashed(&site), [other.store_path()]);
    let told = fails(&site, &["path", "restore", &program.hash], CONFLICT);
    assert!(told.contains("nothing to restore"), "{told}");
    assert_consistent(&site);
}

#[test]
fn a_collected_path_comes_back_and_the_next_collection_leaves_it_alone() {
    let site = site();
    let path = Path::small("collected");
    site.pusher("pub").push(&path);
    let pushed = Instant::now();
    let a_while = Duration::from_secs(3);
    wait_for(SOON, "time passes", || (pushed.elapsed() > a_while).then_some(()));
    let gc = ask(&site, &["gc", "--older-than", "1s"]);
    let gc = &gc["summary"]["caches"][0];
    assert_eq!((&gc["paths_removed"], &gc["files_removed"]), (&json!(1), &json!(0)));
    assert_eq!(gc["bytes_trashed"], path.file.len());
    assert_hidden(&site, &path);
    restore(&site, &path);
    assert_back(&site, &path);
    ask(&site, &["gc", "--older-than", "1h"]);
    assert_back(&site, &path);
    assert_consistent(&site);
}

#[test]
fn what_is_not_in_the_trash_any_more_is_said_so() {
    let site = site();
    let path = Path::small("deleted");
    site.pusher("pub").push(&path);
    let told = fails(&site, &["path", "restore", &random_hash()], NOT_FOUND);
    assert!(told.contains("not in the trash") && told.contains("cachectl trash list"), "{told}");
    delete(&site, &path);
    let emptied = ask(&site, &["trash", "empty"]);
    assert_eq!((&emptied["paths"], &emptied["bytes_freed"]), (&json!(1), &json!(path.file.len())));
    assert!(!is_stored(&site, &path));
    let told = fails(&site, &["path", "restore", &path.hash], NOT_FOUND);
    assert!(told.contains("not in the trash"), "{told}");
    assert_eq!(ask(&site, &["usage"])["storages"][0]["used_bytes"], 0);
    // A path whose reference is gone for good comes back without it.
    let library = Path::small("library");
    let program = Path::small("program").referring_to([library.base_name()]);
    site.pusher("pub").push(&library);
    site.pusher("pub").push(&program);
    ask(&site, &["path", "delete", &program.hash]);
    ask(&site, &["path", "delete", &library.hash, "--no-trash"]);
    let restored = ask(&site, &["path", "restore", &program.hash]);
    assert_eq!(restored["missing"], json!([library.store_path()]));
    assert_back(&site, &program);
    assert_consistent(&site);
}

#[test]
fn a_push_takes_its_path_out_of_the_trash() {
    let site = site();
    let pusher = site.pusher("pub");
    let path = Path::small("again");
    pusher.push(&path);
    delete(&site, &path);
    pusher.push(&path);
    assert_back(&site, &path);
    assert_eq!(trashed(&site), Vec::<String>::new());
    // Also if it is another build.
    delete(&site, &path);
    let other = Path { hash: path.hash.clone(), name: path.name.clone(), ..Path::small("other build") };
    pusher.push(&other);
    assert_back(&site, &other);
    assert_eq!(trashed(&site), Vec::<String>::new());
    ask(&site, &["gc"]);
    assert_eq!(site.stored_nars("pub").len(), 1);
    assert_consistent(&site);
}

#[test]
fn a_file_that_a_living_path_needs_stays_when_the_trash_goes() {
    let site = site();
    let pusher = site.pusher("pub");
    let path = Path::small("one");
    let twin = Path { name: "twin".to_owned(), hash: random_hash(), ..path.clone() };
    pusher.push(&path);
    pusher.push(&twin);
    let deleted = ask(&site, &["path", "delete", &path.hash]);
    assert_eq!((&deleted["bytes_freed"], &deleted["bytes_trashed"]), (&json!(0), &json!(0)));
    assert_eq!(site.reader("pub").narinfo_status(&path), 404);
    site.reader("pub").assert_has(&twin);
    ask(&site, &["trash", "empty"]);
    site.reader("pub").assert_has(&twin);
    assert_consistent(&site);
}

#[test]
fn what_was_in_the_trash_for_long_enough_goes_by_itself() {
    let site = Site::with(|config| {
        configure(config);
        config["server"]["trash"] = json!("1s");
    });
    let (old, kept) = (Path::small("old"), Path::small("kept"));
    site.pusher("pub").push(&old);
    site.pusher("pub").push(&kept);
    delete(&site, &old);
    wait_for(SOON, "it goes", || (!is_stored(&site, &old)).then_some(()));
    wait_for(SOON, "it is not listed", || trashed(&site).is_empty().then_some(()));
    fails(&site, &["path", "restore", &old.hash], NOT_FOUND);
    assert_back(&site, &kept);
    assert_consistent(&site);
}

#[test]
fn a_rebuild_of_the_catalog_restores_nothing_from_the_trash_and_removes_nothing_of_it() {
    let site = site();
    let path = Path::small("trashed");
    site.pusher("pub").push(&path);
    wait_for(SOON, "it is published", || (beside(&site, &path).len() == 2).then_some(()));
    let narinfo = site.storage_dir("pub").join(format!("{}.narinfo", path.hash));
    let text = fs::read(&narinfo).unwrap();
    delete(&site, &path);
    // As a crash of an earlier version, or a copy of the storage, may have left it.
    fs::write(&narinfo, text).unwrap();
    let fsck = ask(&site, &["fsck", "--rebuild"]);
    assert_eq!(fsck["summary"]["storages"][0]["paths_rebuilt"], 0, "{fsck}");
    assert_hidden(&site, &path);
    restore(&site, &path);
    assert_back(&site, &path);
    assert_consistent(&site);
}

#[test]
fn without_trash_the_files_go_at_once() {
    let mut site = site();
    let pusher = site.pusher("pub");
    let paths = [(); 3].map(|()| Path::small("unwanted"));
    paths.iter().for_each(|path| pusher.push(path));
    ask(&site, &["path", "delete", &paths[0].hash, "--no-trash"]);
    assert!(!is_stored(&site, &paths[0]));
    let pushed = Instant::now();
    let a_while = Duration::from_secs(3);
    wait_for(SOON, "time passes", || (pushed.elapsed() > a_while).then_some(()));
    delete(&site, &paths[1]);
    ask(&site, &["gc", "--older-than", "1s", "--no-trash"]);
    assert!(is_stored(&site, &paths[1]) && !is_stored(&site, &paths[2]));
    // Switched off, it is emptied.
    site.reconfigure(|config| config["server"]["trash"] = json!("off"));
    wait_for(SOON, "it goes", || (!is_stored(&site, &paths[1])).then_some(()));
    let told = fails(&site, &["path", "restore", &paths[1].hash], NOT_FOUND);
    assert!(told.contains("`off`"), "{told}");
    assert_consistent(&site);
}
