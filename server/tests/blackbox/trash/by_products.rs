//! Files beside NARs go with the last path that they are about, and fsck finds those that were left.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::{ask, assert_back, assert_consistent, configure, delete, restore};
use crate::harness::path::random_hash;
use crate::harness::{Node, Path, Permission, SOON, Site, random_bytes, to_hex, wait_for};

const LINKS: usize = 300;

/// A path with so many debug files, and their build ids.
fn with_debug_info(name: &str) -> (Path, Vec<String>) {
    let build_ids: Vec<String> = (0..LINKS).map(|_| to_hex(&random_bytes::<20>())).collect();
    let mut directories: BTreeMap<String, BTreeMap<String, Node>> = BTreeMap::new();
    for build_id in &build_ids {
        let (start, rest) = build_id.split_at(2);
        let files = directories.entry(start.to_owned()).or_default();
        files.insert(format!("{rest}.debug"), Node::file("debug symbols"));
    }
    let directories = directories.into_iter().map(|(start, files)| (start, Node::Directory(files)));
    let tree = Node::directory([(
        "lib",
        Node::directory([(
            "debug",
            Node::directory([(".build-id", Node::Directory(directories.collect()))]),
        )]),
    )]);
    (Path::of(name, &tree), build_ids)
}

/// How many of the links are served.
fn served(site: &Site, build_ids: &[String]) -> usize {
    let reader = site.reader("pub");
    build_ids.iter().filter(|id| reader.get(&format!("debuginfo/{id}.debug")).status == 200).count()
}

fn stored(site: &Site, prefix: &str) -> usize {
    site.stored_files("pub").iter().filter(|file| file.starts_with(prefix)).count()
}

fn put_log(site: &Site, derivation: &str) {
    let token = site.token("pub", Permission::Write);
    let put = site.cache("pub").put(&format!("/log/{derivation}")).basic("", &token);
    put.body(b"it was built\n".to_vec()).send().expect_success();
}

#[test]
fn debug_info_links_go_with_their_path_and_come_back_with_it() {
    let site = Site::with(configure);
    let (path, build_ids) = with_debug_info("debug");
    let twin = Path { name: "twin".to_owned(), hash: random_hash(), ..path.clone() };
    site.pusher("pub").push(&path);
    site.pusher("pub").push(&twin);
    assert_eq!(served(&site, &build_ids), LINKS);
    // The other path has the same NAR.
    delete(&site, &path);
    assert_eq!(served(&site, &build_ids), LINKS);
    delete(&site, &twin);
    assert_eq!((served(&site, &build_ids), stored(&site, "debuginfo/")), (0, 0));
    restore(&site, &path);
    assert_back(&site, &path);
    wait_for(SOON, "the links are back", || (served(&site, &build_ids) == LINKS).then_some(()));
    ask(&site, &["path", "delete", &path.hash, "--no-trash"]);
    ask(&site, &["trash", "empty"]);
    let mut left = site.stored_files("pub");
    left.retain(|file| !file.starts_with(".cache-server-"));
    assert_eq!(left, ["nix-cache-info"]);
    assert_consistent(&site);
}

#[test]
fn a_build_log_goes_with_the_last_path_of_its_derivation() {
    let site = Site::with(configure);
    let derivation = format!("{}-program.drv", random_hash());
    let outputs = ["program", "program-doc"].map(|name| Path::small(name).derived_by(&derivation));
    outputs.iter().for_each(|path| site.pusher("pub").push(path));
    put_log(&site, &derivation);
    ask(&site, &["path", "delete", &outputs[0].hash, "--no-trash"]);
    assert_eq!(stored(&site, "log/"), 1, "the other output has it too");
    delete(&site, &outputs[1]);
    assert_eq!(stored(&site, "log/"), 1, "it would be missed after a restore");
    restore(&site, &outputs[1]);
    ask(&site, &["path", "delete", &outputs[1].hash, "--no-trash"]);
    assert_eq!(stored(&site, "log/"), 0);
    site.pusher("pub").push(&outputs[0]);
    put_log(&site, &derivation);
    delete(&site, &outputs[0]);
    ask(&site, &["trash", "empty"]);
    assert_eq!(stored(&site, "log/"), 0);
    assert_consistent(&site);
}

#[test]
fn fsck_finds_orphans_of_every_kind() {
    let site = Site::with(configure);
    let (path, build_ids) = with_debug_info("debug");
    let kept = Path::small("kept");
    site.pusher("pub").push(&path);
    site.pusher("pub").push(&kept);
    put_log(&site, &format!("{}-other.drv", random_hash()));
    let storage = site.storage_dir("pub");
    wait_for(SOON, "its listing is there", || {
        storage.join(format!("{}.ls", path.hash)).exists().then_some(())
    });
    let listing = fs::read(storage.join(format!("{}.ls", path.hash))).unwrap();
    let links: Vec<(std::path::PathBuf, Vec<u8>)> = build_ids
        .iter()
        .map(|id| storage.join(format!("debuginfo/{id}.debug")))
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect();
    ask(&site, &["path", "delete", &path.hash, "--no-trash"]);
    // As an earlier version left them.
    fs::write(storage.join(format!("{}.ls", path.hash)), listing).unwrap();
    links.iter().for_each(|(file, link)| fs::write(file, link).unwrap());
    assert_eq!(served(&site, &build_ids), LINKS);
    let found = |arguments: &[&str]| -> Value { ask(&site, arguments)["summary"]["storages"][0].clone() };
    for arguments in [&["fsck", "--dry-run"][..], &["fsck"]] {
        let counts = found(arguments);
        assert_eq!(counts["orphans_removed"], LINKS + 1, "{counts}");
        assert_eq!(counts["unclaimed_logs"], json!(1), "{counts}");
    }
    assert_eq!((served(&site, &build_ids), stored(&site, "debuginfo/"), stored(&site, "log/")), (0, 0, 1));
    assert!(!storage.join(format!("{}.ls", path.hash)).exists());
    assert_eq!(found(&["fsck"])["orphans_removed"], 0);
    assert_back(&site, &kept);
}

/// Stores a realisation that leads to a path. Returns where it is served.
fn realise(site: &Site, path: &Path) -> String {
    let target = format!("/build-trace-v2/{}-realised.drv/out.doi", random_hash());
    let body = json!({"outPath": path.base_name(), "signatures": []});
    let put = site.cache("pub").put(&target).basic("", &site.token("pub", Permission::Write));
    put.json(&body).send().expect_success();
    target
}

#[test]
fn realisations_go_with_their_path() {
    let site = Site::with(configure);
    let [old, kept] = [Path::small("old"), Path::small("kept")];
    [&old, &kept].iter().for_each(|path| site.pusher("pub").push(path));
    let gone = [realise(&site, &old), realise(&site, &old)];
    let stays = realise(&site, &kept);
    let served = |target: &str| site.cache("pub").get(target).send().status == 200;
    delete(&site, &old);
    assert!(gone.iter().all(|target| served(target)), "the path can be restored");
    ask(&site, &["trash", "empty"]);
    assert!(gone.iter().all(|target| !served(target)));
    assert!(served(&stays));
    ask(&site, &["path", "delete", &kept.hash, "--no-trash"]);
    assert!(!served(&stays));
    assert_eq!(stored(&site, "build-trace-v2/"), 0);
    assert_consistent(&site);
}

/// As those from before the catalog knew of them, or those of a storage that came from elsewhere.
#[test]
fn fsck_has_realisations_go_with_their_path_that_the_catalog_does_not_know() {
    let site = Site::with(configure);
    let path = Path::small("old");
    site.pusher("pub").push(&path);
    let directory =
        site.directory().join("storage/pub/build-trace-v2").join(format!("{}-a.drv", random_hash()));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("out.doi"), json!({"outPath": path.base_name()}).to_string()).unwrap();
    ask(&site, &["fsck"]);
    ask(&site, &["path", "delete", &path.hash, "--no-trash"]);
    assert_eq!(stored(&site, "build-trace-v2/"), 0);
}
