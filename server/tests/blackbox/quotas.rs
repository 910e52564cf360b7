//! How much a cache may have, and what happens when it has that.

use serde_json::{Value, json};

use crate::harness::{Path, Permission, Pusher, SOON, Site, wait_for};

const MB: usize = 1_000_000;

/// A site whose cache `pub` may have so much on two storages. Nothing is collected for its age.
fn site(max_size: &str, when_full: Option<&str>) -> Site {
    Site::with_files(|config, directory| {
        config["server"]["gc-interval"] = json!("off");
        let cache = &mut config["caches"][0];
        cache["max-size"] = json!(max_size);
        if let Some(when_full) = when_full {
            cache["when-full"] = json!(when_full);
        }
        cache["storage-strategy"] = json!("round-robin");
        let storage = |name: &str| json!({"name": name, "type": "local", "root": directory.join(name)});
        cache["storages"] = json!([storage("one"), storage("two")]);
    })
}

fn megabytes(count: usize) -> Vec<Path> {
    (0..count).map(|number| Path::incompressible(&format!("path-{number}"), MB)).collect()
}

/// What the cache has on its storages, whatever it is.
fn all_bytes(site: &Site) -> u64 {
    let storages: Vec<Value> =
        serde_json::from_str(&site.cachectl_ok(&["storage", "list", "--cache", "pub", "--json"])).unwrap();
    let bytes = |name: &str| -> u64 { storages.iter().map(|storage| storage[name].as_u64().unwrap()).sum() };
    bytes("used_bytes") + bytes("by_product_bytes")
}

#[test]
fn a_full_cache_refuses_pushes_until_something_is_deleted() {
    let site = site("4500000", None);
    let pusher = site.pusher("pub");
    let paths = megabytes(4);
    paths.iter().for_each(|path| pusher.push(path));
    let more = Path::incompressible("more", MB);
    let (upload, parts) = pusher.upload(&more);
    let reply = pusher.complete(&upload, &parts, &more.nar_info_create());
    assert_eq!(reply.status, 507);
    assert!(reply.text().contains("as large as it may be"), "{}", reply.text());
    // Another cache has a limit of its own.
    site.pusher("priv").push(&Path::incompressible("other", MB));
    site.cachectl_ok(&["path", "delete", &paths[0].hash, "--cache", "pub"]);
    // The trash counts, and goes first. The upload is still there.
    pusher.complete(&upload, &parts, &more.nar_info_create()).expect(200);
    for path in &paths[1..] {
        site.reader("pub").assert_has(path);
    }
    assert!(all_bytes(&site) <= 4_500_000);
    // A known size is refused before a byte is sent.
    let token = site.token("pub", Permission::Write);
    let put = site.cache("pub").put(&format!("/{}", more.file_url())).basic("", &token);
    assert_eq!(put.body(Path::incompressible("put", MB).file).send().status, 507);
    // The limit is raised without a restart.
    site.edit_config(|config| config["caches"][0]["max-size"] = json!("9MB"));
    site.cachectl_ok(&["reload"]);
    pusher.push(&Path::incompressible("later", MB));
}

#[test]
fn a_full_cache_refuses_small_pushes_too() {
    let site = site("130000", None);
    let pusher = site.pusher("pub");
    let small = |name: &str| Path::incompressible(name, 50_000);
    pusher.push(&small("first"));
    pusher.push(&small("second"));
    let more = small("more");
    let (upload, parts) = pusher.upload(&more);
    let reply = pusher.complete(&upload, &parts, &more.nar_info_create());
    assert_eq!(reply.status, 507);
    assert!(reply.text().contains("as large as it may be"), "{}", reply.text());
    assert!(all_bytes(&site) <= 130_000);
}

#[test]
fn a_full_cache_collects_what_was_not_used_for_the_longest_time() {
    let site = site("4500000", Some("collect"));
    let pusher = site.pusher("pub");
    let paths = megabytes(12);
    pusher.push(&paths[0]);
    let pinned = ["pin", "add", "kept", &paths[0].store_path(), "--cache", "pub"];
    site.cachectl_ok(&pinned);
    for path in &paths[1..] {
        pusher.push(path);
        site.reader("pub").assert_has(path);
        assert!(all_bytes(&site) <= 4_500_000);
    }
    let reader = site.reader("pub");
    reader.assert_has(&paths[0]);
    reader.assert_lacks(&paths[1]);
    reader.assert_has(&paths[11]);
    // It is told like any collection.
    assert!(site.cachectl_ok(&["job", "list"]).contains("gc"));
    let fsck = site.cachectl_ok(&["fsck", "--cache", "pub", "--dry-run"]);
    assert!(fsck.contains("no problems"), "{fsck}");
}

#[test]
fn a_cache_with_nothing_to_collect_refuses_pushes() {
    let site = site("2500000", Some("collect"));
    let pusher = site.pusher("pub");
    let paths = megabytes(2);
    for (path, pin) in paths.iter().zip(["one", "two"]) {
        pusher.push(path);
        site.cachectl_ok(&["pin", "add", pin, &path.store_path(), "--cache", "pub"]);
    }
    let more = Path::incompressible("more", MB);
    let (upload, parts) = pusher.upload(&more);
    assert_eq!(pusher.complete(&upload, &parts, &more.nar_info_create()).status, 507);
    for path in &paths {
        site.reader("pub").assert_has(path);
    }
    site.cachectl_ok(&["pin", "remove", "one", "--cache", "pub"]);
    pusher.complete(&upload, &parts, &more.nar_info_create()).expect(200);
    site.reader("pub").assert_lacks(&paths[0]);
}

#[test]
fn a_cache_on_full_storages_collects_too() {
    let site = Site::with(|config| {
        config["server"]["gc-interval"] = json!("off");
        config["caches"][0]["when-full"] = json!("collect");
        config["caches"][0]["storages"][0]["max-size"] = json!("5MB");
    });
    let pusher = site.pusher("pub");
    let paths = megabytes(9);
    paths.iter().for_each(|path| pusher.push(path));
    site.reader("pub").assert_lacks(&paths[0]);
    site.reader("pub").assert_has(&paths[8]);
    wait_for(SOON, "nothing is left of the uploads", || site.spooled_files("pub").is_empty().then_some(()));
}

#[test]
fn many_pushers_find_room_in_a_cache_that_collects() {
    let site = site("6MB", Some("collect"));
    let paths = megabytes(40);
    std::thread::scope(|scope| {
        for some in paths.chunks(10) {
            let pusher = site.pusher("pub");
            scope.spawn(move || some.iter().for_each(|path| pusher.push(path)));
        }
    });
    assert!(all_bytes(&site) <= 6_000_000);
    let there = paths.iter().filter(|path| site.reader("pub").narinfo_status(path) == 200).count();
    assert!((3..=5).contains(&there), "{there}");
}

#[test]
fn a_token_with_a_daily_limit_pushes_no_more_than_that() {
    let mut site = Site::start();
    let limited = ["--cache", "pub", "--permission", "write", "--daily-limit", "3MB"];
    let token = site.create_token(&limited);
    let pusher = Pusher::new(site.api(), "pub", &token);
    let paths = megabytes(2);
    paths.iter().for_each(|path| pusher.push(path));
    let more = Path::incompressible("more", 2 * MB);
    let refused = |site: &Site| {
        let pusher = Pusher::new(site.api(), "pub", &token);
        let upload = pusher.create(more.compression);
        let url = pusher.part_url(&upload, 1, &more.file);
        let reply = pusher.put(&url, &more.file);
        assert_eq!(reply.status, 429, "{}", reply.text());
        let wait: u64 = reply.header("Retry-After").unwrap().parse().unwrap();
        assert!(wait <= 24 * 60 * 60, "{wait}");
        let put = || site.cache("pub").put(&format!("/{}", more.file_url())).basic("", &token);
        assert_eq!(put().body(more.file.clone()).send().status, 429);
        assert_eq!(put().chunked(more.file.clone(), 65_536).send().status, 429);
    };
    refused(&site);
    // What was pushed is known after a restart.
    site.crash_and_restart();
    refused(&site);
    // Others go on, and so does reading.
    site.pusher("pub").push(&more);
    site.reader("pub").assert_has(&paths[0]);
    let list = site.cachectl_ok(&["token", "list", "--json"]);
    assert!(list.contains("3000000"), "{list}");
    let read = ["token", "create", "--cache", "pub", "--permission", "read", "--daily-limit", "3MB"];
    let output = site.cachectl(&read);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("token that may push"));
}
