//! Paths: listed, explained, deleted.

use std::thread;

use super::{CONFLICT, NOT_FOUND, ask, assert_consistent, fails, site};
use crate::harness::path::random_hash;
use crate::harness::{Path, Site};

#[track_caller]
fn delete(site: &Site, path: &Path, more: &[&str]) -> Vec<String> {
    let deleted = ask(site, &[&["path", "delete", &path.store_path(), "--cache", "pub"], more].concat());
    let mut paths: Vec<String> = serde_json::from_value(deleted["paths"].clone()).unwrap();
    paths.sort();
    paths
}

#[test]
fn a_deleted_path_is_gone_with_its_files() {
    let site = site();
    let pusher = site.pusher("pub");
    let kept = Path::small("kept");
    pusher.push(&kept);
    let files = site.stored_files("pub");
    let path = Path::small("unwanted").referring_to([kept.base_name()]);
    pusher.push(&path);
    let reader = site.reader("pub");
    // Brings it into every cache in memory.
    reader.assert_has(&path);

    let deleted = ask(&site, &["path", "delete", &path.hash, "--cache", "pub"]);
    assert_eq!(deleted["paths"], serde_json::json!([path.store_path()]));
    assert_eq!(deleted["bytes_freed"], path.file.len());
    assert_eq!(deleted["postponed"], 0);
    reader.assert_lacks(&path);
    assert_eq!(pusher.missing(&[&path.hash]), [path.hash.as_str()]);
    assert_eq!(site.stored_files("pub"), files);
    reader.assert_has(&kept);
    let told = fails(&site, &["path", "delete", &path.hash, "--cache", "pub"], NOT_FOUND);
    assert!(told.contains("does not hold"), "{told}");

    pusher.push(&path);
    reader.assert_has(&path);
    assert_consistent(&site);
}

#[test]
fn a_file_that_another_path_needs_stays() {
    let site = site();
    let pusher = site.pusher("pub");
    let path = Path::small("one");
    let twin = Path { name: "twin".to_owned(), hash: random_hash(), ..path.clone() };
    pusher.push(&path);
    pusher.push(&twin);
    let deleted = ask(&site, &["path", "delete", &path.hash, "--cache", "pub"]);
    assert_eq!(deleted["bytes_freed"], 0);
    site.reader("pub").assert_has(&twin);
    assert_eq!(site.reader("pub").narinfo_status(&path), 404);
    assert_consistent(&site);
}

#[test]
fn a_path_that_others_need_or_a_pin_holds_is_not_deleted() {
    let site = site();
    let pusher = site.pusher("pub");
    let library = Path::small("library");
    pusher.push(&library);
    let programs: Vec<Path> = (0..7)
        .map(|number| Path::small(&format!("program-{number}")).referring_to([library.base_name()]))
        .collect();
    let wrapper = Path::small("wrapper").referring_to([programs[0].base_name()]);
    programs.iter().chain([&wrapper]).for_each(|path| pusher.push(path));
    site.cachectl_ok(&["pin", "add", "release", &wrapper.hash, "--cache", "pub"]);

    let delete_library = ["path", "delete", library.hash.as_str(), "--cache", "pub"];
    let told = fails(&site, &delete_library, CONFLICT);
    assert!(told.contains("7 paths") && told.contains(&programs[0].base_name()), "{told}");
    assert!(told.contains("and 2 more") && told.contains("--recursive"), "{told}");
    for arguments in [
        ["path", "delete", &wrapper.hash, "--cache", "pub"].as_slice(),
        &[&delete_library[..], &["--recursive"]].concat(),
    ] {
        let told = fails(&site, arguments, CONFLICT);
        assert!(told.contains("`release`") && told.contains(&wrapper.base_name()), "{told}");
        assert!(told.contains("cachectl pin remove"), "{told}");
    }
    let reader = site.reader("pub");
    for path in programs.iter().chain([&library, &wrapper]) {
        reader.assert_has(path);
    }

    site.cachectl_ok(&["pin", "remove", "release", "--cache", "pub"]);
    assert_eq!(delete(&site, &programs[1], &[]), [programs[1].store_path()]);
    assert_eq!(delete(&site, &library, &["--recursive"]).len(), 8);
    assert_eq!(site.stored_nars("pub"), [""; 0]);
    assert_consistent(&site);
}

/// In any order, the path exists with its file or not at all, and all views agree.
#[test]
fn a_path_that_is_pushed_while_it_is_deleted_exists_whole_or_not_at_all() {
    const ROUNDS: usize = 25;
    let mut site = site();
    let pusher = site.pusher("pub");
    let path = Path::small("contended");
    let twin = Path { name: "twin".to_owned(), hash: random_hash(), ..path.clone() };
    pusher.push(&path);
    for round in 0..ROUNDS {
        let again = if round % 2 == 0 { &path } else { &twin };
        thread::scope(|scope| {
            scope.spawn(|| pusher.push(again));
            scope.spawn(|| {
                let output = site.cachectl(&["path", "delete", &path.hash, "--cache", "pub"]);
                assert!(matches!(output.status.code(), Some(0 | NOT_FOUND)), "{output:?}");
            });
        });
        for path in [&path, &twin] {
            let is_there = pusher.missing(&[&path.hash]).is_empty();
            if is_there {
                site.reader("pub").assert_has(path);
            } else {
                assert_eq!(site.reader("pub").narinfo_status(path), 404);
            }
        }
    }
    pusher.push(&path);
    site.crash_and_restart();
    site.reader("pub").assert_has(&path);
    assert_consistent(&site);
}

#[test]
fn a_file_that_cannot_be_removed_is_removed_by_the_next_collection() {
    let mut site = site();
    let path = Path::small("unwanted");
    site.pusher("pub").push(&path);
    let nar = site.storage_dir("pub").join(path.file_url());
    // A directory in the place of a file cannot be removed as one.
    let narinfo = site.storage_dir("pub").join(format!("{}.narinfo", path.hash));
    std::fs::remove_file(&narinfo).unwrap();
    std::fs::create_dir_all(narinfo.join("in-the-way")).unwrap();
    let deleted = ask(&site, &["path", "delete", &path.hash, "--cache", "pub"]);
    assert_eq!(deleted["postponed"], 1);
    assert_eq!(deleted["bytes_freed"], 0);
    assert_eq!(site.reader("pub").narinfo_status(&path), 404);
    assert!(nar.exists());

    site.crash_and_restart();
    assert_eq!(site.reader("pub").narinfo_status(&path), 404);
    std::fs::remove_dir_all(&narinfo).unwrap();
    site.cachectl_ok(&["gc", "--cache", "pub"]);
    assert!(!nar.exists());
    assert_consistent(&site);
}

#[test]
fn paths_are_listed_and_found_by_their_names() {
    let site = site();
    let paths: Vec<Path> = ["alpha", "beta", "beta-doc"].map(Path::small).into();
    paths.iter().for_each(|path| site.pusher("pub").push(path));
    let listed = |arguments: &[&str]| -> Vec<String> {
        let list = ask(&site, &[&["path", "list", "--cache", "pub"], arguments].concat());
        let paths = list["paths"].as_array().unwrap().iter();
        paths.map(|path| path["store_path"].as_str().unwrap().to_owned()).collect()
    };
    let sorted = |mut paths: Vec<String>| {
        paths.sort();
        paths
    };
    let of = |paths: &[Path]| sorted(paths.iter().map(Path::store_path).collect());
    assert_eq!(sorted(listed(&[])), of(&paths));
    assert_eq!(sorted(listed(&["BETA"])), of(&paths[1..]));
    let first = listed(&["--limit", "1"]);
    assert_eq!(first, listed(&[])[..1]);
    assert_eq!(listed(&["--after", &first[0]]), listed(&[])[1..]);
    assert!(site.cachectl_ok(&["path", "list", "--cache", "pub"]).contains("beta-doc"));
}

#[test]
fn the_reason_for_keeping_a_path_is_explained() {
    let site = site();
    let library = Path::small("library");
    let program = Path::small("program").referring_to([library.base_name()]);
    for path in [&library, &program] {
        site.pusher("pub").push(path);
    }
    site.cachectl_ok(&["pin", "add", "v1", &program.store_path(), "--cache", "pub"]);
    for command in [["path", "why"].as_slice(), &["gc", "--explain"]] {
        let why = ask(&site, &[command, &[&library.hash, "--cache", "pub"]].concat());
        assert_eq!(why["live"], true);
        assert_eq!(why["chain"], serde_json::json!([library.base_name(), program.base_name()]));
        assert!(why["reason"].as_str().unwrap().contains("v1"), "{why}");
        let text = site.cachectl_ok(&[command, &[&library.hash]].concat());
        assert!(text.contains("v1") && text.contains(&program.base_name()), "{text}");
    }
    fails(&site, &["path", "why", &random_hash()], NOT_FOUND);
}
