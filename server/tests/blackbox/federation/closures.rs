//! Closures are whole, and what a push left out because an upstream has it is watched.

use serde_json::{Value, json};

use super::network::start_with;
use super::upstream::{Act, Upstream};
use crate::harness::read::Reader;
use crate::harness::{Path, Permission, SOON, Site, wait_for};
use crate::nix_client::{reader, url, writer};

fn strict(edit: impl Fn(&mut Value)) -> Site {
    Site::with(|config| {
        config["caches"][0]["closures"] = json!("strict");
        config["server"]["federation"] = json!({"lookup-timeout": "4s", "watch-interval": "1s"});
        edit(config);
    })
}

fn with_upstream(upstream: &Upstream, more: &Value) -> Site {
    let entry = upstream.entry();
    strict(|config| {
        config["caches"][0]["upstreams"] = json!([entry]);
        for (key, value) in more.as_object().unwrap() {
            config["caches"][0][key] = value.clone();
        }
    })
}

/// A path that refers to these.
fn above(name: &str, below: &[&Path]) -> Path {
    Path::small(name).referring_to(below.iter().map(|path| path.base_name()))
}

fn status(site: &Site, path: &Path) -> u16 {
    site.reader("pub").narinfo_status(path)
}

fn soon(site: &Site, path: &Path, expected: u16) {
    let what = format!("{} to be answered with {expected}", path.base_name());
    wait_for(SOON, &what, || (status(site, path) == expected).then_some(()));
}

fn doctor(site: &Site) -> String {
    let output = site.cachectl(&["doctor", "--json"]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_path_is_hidden_until_its_closure_is_there_in_whatever_order_it_comes() {
    let mut site = strict(|_| {});
    let pusher = site.pusher("pub");
    let leaf = Path::small("leaf");
    let middle = above("middle", &[&leaf]);
    let top = above("top", &[&middle, &leaf]);
    pusher.push(&top);
    pusher.push(&middle);
    for path in [&top, &middle] {
        assert_eq!(status(&site, path), 404);
        // Whoever pushes need not do so again.
        assert!(pusher.missing(&[&path.hash]).is_empty());
    }
    let info: Value = serde_json::from_str(&site.cachectl_ok(&[
        "path",
        "info",
        "--cache",
        "pub",
        &top.store_path(),
        "--json",
    ]))
    .unwrap();
    assert_eq!(info["withheld"], true, "{info}");
    assert_eq!(info["missing"][0]["path"], leaf.base_name(), "{info}");
    let found = doctor(&site);
    assert!(found.contains("closures of pub") && found.contains(&leaf.base_name()), "{found}");
    site.crash_and_restart();
    assert_eq!(status(&site, &top), 404);
    site.pusher("pub").push(&leaf);
    for path in [&top, &middle, &leaf] {
        site.reader("pub").assert_has(path);
    }
    assert!(!doctor(&site).contains("closures of pub"));
    // A damaged file takes what needs it along, and the next push brings all of it back.
    let file = site.storage_dir("pub").join(leaf.file_url());
    std::fs::remove_file(&file).unwrap();
    site.reader("pub").get(&leaf.file_url());
    site.crash_and_restart();
    assert_eq!([&leaf, &middle, &top].map(|path| status(&site, path)), [404; 3]);
    site.pusher("pub").push(&leaf);
    assert_eq!([&leaf, &middle, &top].map(|path| status(&site, path)), [200; 3]);
}

#[test]
fn by_default_an_incomplete_closure_is_served_and_reported() {
    let site = Site::start();
    let leaf = Path::small("leaf");
    let top = above("top", &[&leaf]);
    site.pusher("pub").push(&top);
    site.reader("pub").assert_has(&top);
    let info = site.cachectl_ok(&["path", "info", "--cache", "pub", &top.store_path()]);
    assert!(info.contains(&leaf.base_name()) && info.contains("Closure lacks"), "{info}");
    assert!(doctor(&site).contains("closures of pub"));
    // It can be asked for at any time.
    site.edit_config(|config| config["caches"][0]["closures"] = json!("strict"));
    site.cachectl_ok(&["reload"]);
    assert_eq!(status(&site, &top), 404);
    site.edit_config(|config| config["caches"][0]["closures"] = json!("warn"));
    site.cachectl_ok(&["reload"]);
    assert_eq!(status(&site, &top), 200);
}

#[test]
fn what_an_upstream_has_of_a_closure_counts_until_it_is_gone() {
    let upstream = Upstream::start();
    let site = with_upstream(&upstream, &json!({}));
    let (known, unknown) = (Path::small("known"), Path::small("unknown"));
    upstream.has(&known);
    upstream.has(&unknown);
    let pusher = site.pusher("pub");
    assert!(pusher.missing(&[&known.hash]).is_empty());
    let first = above("first", &[&known]);
    pusher.push(&first);
    assert_eq!(status(&site, &first), 200);
    // What nobody has asked for before is looked for.
    let second = above("second", &[&known, &unknown]);
    pusher.push(&second);
    soon(&site, &second, 200);
    let nowhere = Path::small("nowhere");
    let third = above("third", &[&nowhere, &unknown]);
    pusher.push(&third);
    // It is gone from there.
    upstream.on_narinfo(&unknown, Act::Status(404));
    soon(&site, &second, 404);
    assert_eq!([&first, &third].map(|path| status(&site, path)), [200, 404]);
    let found = doctor(&site);
    assert!(found.contains("upstreams of pub") && found.contains(&unknown.base_name()), "{found}");
    assert_eq!(pusher.missing(&[&unknown.hash]), [unknown.hash.as_str()]);
    // An upstream that only fails is no reason to believe that it has lost anything.
    upstream.on_narinfo(&known, Act::Status(500));
    pusher.push(&unknown);
    soon(&site, &second, 200);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!([&first, &second].map(|path| status(&site, path)), [200; 2]);
    // It is gone from the configuration.
    site.edit_config(|config| config["caches"][0]["upstreams"] = json!([]));
    site.cachectl_ok(&["reload"]);
    soon(&site, &first, 404);
}

#[test]
fn what_a_push_left_out_is_kept_before_the_upstream_forgets_it() {
    let upstream = Upstream::start();
    let mut site = with_upstream(&upstream, &json!({"pin-upstream": true}));
    let deep = Path::small("deep");
    let left_out = above("left-out", &[&deep]);
    upstream.has(&left_out);
    upstream.has(&deep);
    let pusher = site.pusher("pub");
    assert!(pusher.missing(&[&left_out.hash]).is_empty());
    let top = above("top", &[&left_out]);
    pusher.push(&top);
    assert_eq!(status(&site, &top), 200);
    for path in [&left_out, &deep] {
        let kept = site.storage_dir("pub").join(format!("{}.narinfo", path.hash));
        wait_for(SOON, "the path to be kept", || kept.exists().then_some(()));
    }
    for path in [&left_out, &deep] {
        upstream.on_narinfo(path, Act::Status(404));
        upstream.on_nar(path, Act::Status(404));
    }
    site.crash_and_restart();
    for path in [&top, &left_out, &deep] {
        site.reader("pub").assert_has(path);
    }
    assert!(!doctor(&site).contains("of pub"), "{}", doctor(&site));
}

#[test]
fn another_cache_that_is_trusted_completes_a_closure_and_keeps_what_it_needs() {
    let site = start_with(1, |_, config| {
        config["caches"][0]["closures"] = json!("strict");
        config["server"]["federation"]["watch-interval"] = json!("1s");
    })
    .remove(0);
    let keys = site.public_keys("my-cache-2");
    site.edit_config(|config| config["caches"][0]["trusted-public-keys"] = json!(keys));
    site.cachectl_ok(&["reload"]);
    let leaf = Path::small("leaf");
    site.pusher("my-cache-2").push(&leaf);
    let top = above("top", &[&leaf]);
    site.pusher("pub").push(&top);
    soon(&site, &top, 200);
    let refused = site.cachectl(&["path", "delete", "--cache", "my-cache-2", &leaf.store_path()]);
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("closures of the cache `pub`"), "{told}");
    site.cachectl_ok(&["gc", "--cache", "my-cache-2", "--older-than", "0s"]);
    site.reader("my-cache-2").assert_has(&leaf);
}

#[test]
fn a_machine_that_may_push_finds_what_upstreams_have_only_where_that_need_not_be_pushed() {
    let upstream = Upstream::start();
    let site = with_upstream(&upstream, &json!({"closures": "warn"}));
    let path = Path::small("upstream");
    upstream.has(&path);
    let with = |permission| {
        Reader::new(site.cache("pub")).with_token(&site.token("pub", permission)).narinfo_status(&path)
    };
    assert_eq!([with(Permission::Write), with(Permission::Read), status(&site, &path)], [200; 3]);
    site.edit_config(|config| config["caches"][0]["skip-upstream"] = json!(false));
    site.cachectl_ok(&["reload"]);
    assert_eq!([with(Permission::Write), with(Permission::Read), status(&site, &path)], [404, 200, 200]);
    // One that takes longer than a reader waits is waited for.
    let late = Path::small("late");
    upstream.has(&late);
    let narinfo = upstream.narinfo(&late).into_bytes();
    upstream.on_narinfo(&late, Act::Late(std::time::Duration::from_secs(2), narinfo));
    site.edit_config(|config| {
        config["caches"][0]["skip-upstream"] = json!(true);
    });
    site.cachectl_ok(&["reload"]);
    let pusher = Reader::new(site.cache("pub")).with_token(&site.token("pub", Permission::Write));
    assert_eq!(pusher.narinfo_status(&late), 200);
}

#[test]
fn nix_copy_leaves_out_what_is_upstream_and_the_rest_is_whole() {
    let upstream = Site::start();
    let keys = upstream.public_keys("pub");
    let here = writer(&upstream, "pub");
    let root = here.build_closure(12);
    let below = here.ok(&format!("nix-store -q --requisites {root} | grep -v {root}"));
    let below: Vec<&str> = below.lines().collect();
    here.ok(&format!("nix copy --to {} {}", url(&upstream, "pub"), below.join(" ")));
    let address = format!("http://127.0.0.1:{}", upstream.port("pub"));
    let site = strict(|config| {
        config["caches"][0]["upstreams"] = json!([format!("{address} {}", keys.join(" "))]);
    });
    let token = site.token("pub", Permission::Write);
    let here = here.with_token(&format!("pub.{}", crate::harness::site::HOST), &token);
    here.ok(&format!("nix copy --to {} {root}", url(&site, "pub")));
    assert_eq!(site.stored_nars("pub").len(), 1, "only the root was uploaded");
    let there = reader(&site, "pub");
    there.ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
    assert_eq!(there.describe_closure(&root), here.describe_closure(&root));
}
