//! Storages: which of them takes a file, and what happens when one is full, dead, damaged or taken out of the config.
//!
//! Real disks (file systems of their own, where that matters) and a real S3 service, reached through a network that
//! fails on demand where that matters.

pub mod bucket;
mod bucket_layout;
mod changes;
mod copies;
mod counted;
mod damage;
mod demotion;
mod failing;
mod fsck;
mod full;
mod jobs;
mod medium;
mod mounts;
mod moves;
mod network;
mod promotion;
mod recipes;
mod sharing;
mod startup;
mod strategies;
mod tiers;
mod unmounted;

#[allow(dead_code, reason = "shared with other tests, which need other parts of it")]
#[path = "../../../crates/nar-storage/tests/support/proxy.rs"]
mod proxy;

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use self::bucket::Bucket;
use self::medium::Medium;
use crate::harness::{Path, SOON, Site, garage, wait_for};

/// How long it may take until a storage that works again is noticed: probes are 15 seconds apart at most.
const BACK: Duration = Duration::from_secs(40);

/// A daemon with one cache, `pub`, that has these storages.
fn site(strategy: &str, storages: impl Fn(&FilePath) -> Vec<Value>) -> Site {
    Site::with_files(|config, directory| declare(config, strategy, storages(directory)))
}

/// Makes `pub` the only cache, with these storages.
fn declare(config: &mut Value, strategy: &str, storages: Vec<Value>) {
    config["caches"].as_array_mut().unwrap().truncate(1);
    config["caches"][0]["storage-strategy"] = json!(strategy);
    config["caches"][0]["storages"] = json!(storages);
}

/// A local storage with its root in the site's directory, under its own name.
fn local(directory: &FilePath, name: &str) -> Value {
    json!({"name": name, "type": "local", "root": directory.join(name)})
}

/// The same storage with one more key.
fn with(mut storage: Value, key: &str, value: impl Into<Value>) -> Value {
    storage[key] = value.into();
    storage
}

/// What `pub` has on the local storage of this name.
fn disk(site: &Site, name: &str) -> Medium<'static> {
    Medium::Directory(site.directory().join(name).join("pub"))
}

/// What `pub` has in the bucket, on the storage of this name.
fn in_bucket<'a>(bucket: &'a Bucket, name: &str) -> Medium<'a> {
    Medium::Bucket(bucket, format!("{name}/pub/"))
}

/// Small paths with files of these sizes, more or less.
fn paths(sizes: impl IntoIterator<Item = usize>) -> Vec<Path> {
    sizes.into_iter().map(|size| Path::incompressible("path", size)).collect()
}

/// Pushes to `pub` from several clients at the same time.
fn push_side_by_side(site: &Site, paths: &[Path], pushers: usize) {
    let pusher = site.pusher("pub");
    thread::scope(|scope| {
        for chunk in paths.chunks(paths.len().div_ceil(pushers)) {
            let pusher = pusher.clone();
            scope.spawn(move || chunk.iter().for_each(|path| pusher.push(path)));
        }
    });
}

/// Every one of these paths can be read, and is what was pushed.
#[track_caller]
fn assert_all_readable(site: &Site, paths: &[Path]) {
    let reader = site.reader("pub");
    for path in paths {
        reader.assert_has(path);
    }
}

/// Waits until every one of these paths is promised again, and checks that it can be read.
#[track_caller]
fn wait_until_readable(site: &Site, paths: &[Path]) {
    let reader = site.reader("pub");
    for path in paths {
        wait_for(BACK, "a path is back", || (reader.narinfo_status(path) == 200).then_some(()));
        reader.assert_has(path);
    }
}

/// What `cachectl storage list --json` says about a storage of `pub`.
#[track_caller]
fn condition(site: &Site, name: &str) -> Value {
    let list: Vec<Value> =
        serde_json::from_str(&site.cachectl_ok(&["storage", "list", "--cache", "pub", "--json"])).unwrap();
    let found = list.iter().find(|storage| storage["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {list:?}")).clone()
}

/// Waits until `cachectl` says that a storage is in this state.
#[track_caller]
fn wait_for_state(site: &Site, name: &str, state: &str) {
    wait_for(BACK, &format!("{name} is {state}"), || (condition(site, name)["state"] == state).then_some(()));
}

/// Waits until nothing of any unfinished upload or move is left in the spools of disks and buckets.
#[track_caller]
fn wait_for_empty_spools(site: &Site) {
    let is_spooled = |name: &String| name.contains("/.spool/") || name.starts_with("state/spool/");
    wait_for(SOON, "the spools are empty", || {
        let mut files = BTreeMap::new();
        medium::collect(site.directory(), site.directory(), &mut files);
        (!files.keys().any(is_spooled)).then_some(())
    });
}
