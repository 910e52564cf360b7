//! The trash goes first when a storage needs the room, the oldest of it first.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{NOT_FOUND, ask, assert_back, assert_consistent, configure, delete, fails, is_stored, trashed};
use crate::federation::upstream::Upstream;
use crate::harness::{Path, SOON, Site, wait_for};

const MB: usize = 1_000_000;

#[test]
fn a_push_that_needs_the_room_makes_the_oldest_of_the_trash_go() {
    let site = Site::with(|config| {
        configure(config);
        config["caches"][0]["storages"][0]["max-size"] = json!("3500000");
    });
    let pusher = site.pusher("pub");
    let paths: Vec<Path> = (0..3).map(|number| Path::incompressible(&format!("{number}"), MB)).collect();
    paths.iter().for_each(|path| pusher.push(path));
    delete(&site, &paths[1]);
    delete(&site, &paths[0]);
    // One that does not fit even without the trash leaves it alone, and one that could never fit is not even taken in.
    let huge = Path::incompressible("huge", 3 * MB);
    let (upload, parts) = pusher.upload(&huge);
    pusher.complete(&upload, &parts, &huge.nar_info_create()).expect(507);
    pusher.abort(&upload);
    let larger = Path::incompressible("larger", 4 * MB);
    let upload = pusher.create(larger.compression);
    let url = pusher.part_url(&upload, 1, &larger.file);
    pusher.put(&url, &larger.file).expect(507);
    pusher.abort(&upload);
    assert_eq!(trashed(&site), [paths[1].store_path(), paths[0].store_path()]);

    let new = Path::incompressible("new", MB);
    pusher.push(&new);
    site.reader("pub").assert_has(&new);
    assert_eq!(trashed(&site), [paths[0].store_path()]);
    assert!(!is_stored(&site, &paths[1]));
    fails(&site, &["path", "restore", &paths[1].hash], NOT_FOUND);
    ask(&site, &["path", "restore", &paths[0].hash]);
    assert_back(&site, &paths[0]);

    // With nothing in the trash it is full.
    let last = Path::incompressible("last", MB);
    let (upload, parts) = pusher.upload(&last);
    pusher.complete(&upload, &parts, &last.nar_info_create()).expect(507);
    assert_consistent(&site);
}

#[test]
fn a_storage_with_little_but_trash_takes_new_uploads() {
    let site = Site::with(|config| {
        configure(config);
        config["caches"][0]["storages"][0]["max-size"] = json!("1000000");
    });
    let pusher = site.pusher("pub");
    let old = Path::incompressible("old", MB - 1000);
    pusher.push(&old);
    // Reaches the limit, so that uploads would be refused before their first byte.
    let rest = Path::incompressible("rest", 100_000);
    delete(&site, &old);
    pusher.push(&rest);
    site.reader("pub").assert_has(&rest);
    assert!(!is_stored(&site, &old));
    assert_consistent(&site);
}

#[test]
fn a_cache_that_keeps_too_much_empties_its_trash_before_it_removes_more() {
    let upstream = Upstream::start();
    let entry = upstream.entry();
    let site = Site::with(|config| {
        configure(config);
        config["caches"][0]["upstreams"] = json!([entry]);
        config["caches"][0]["federation"] = json!({"keep": true, "keep-max-size": "3500000"});
        config["server"]["federation"] = json!({"lookup-timeout": "2s"});
    });
    let paths: Vec<Path> =
        (0..6).map(|number| Path::incompressible(&format!("one-of-{number}"), MB)).collect();
    // Asking the daemon for what it has would count as a use.
    let read = |path: &Path| {
        upstream.has(path);
        site.reader("pub").assert_has(path);
        wait_for(SOON, "the path is kept", || is_stored(&site, path).then_some(()));
    };
    let (earlier, later) = paths.split_at(3);
    earlier.iter().for_each(read);
    // Times are noted to the second.
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let noted = second();
    wait_for(SOON, "a second has passed", || (second() > noted).then_some(()));
    later.iter().for_each(read);
    wait_for(SOON, "the cache is small enough", || (site.stored_nars("pub").len() <= 3).then_some(()));
    // No path that is in use had to go while there was something in the trash.
    let listed = ask(&site, &["path", "list"])["paths"].as_array().unwrap().len();
    assert!(listed + trashed(&site).len() <= 3 && listed >= 2, "{listed}");
    assert_consistent(&site);
}
