//! Caches that keep what passes through them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::network::{soon_finds, start_with};
use super::upstream::{Act, Upstream};
use crate::harness::{Path, SOON, Site, wait_for};
use crate::nix_client::{reader, url, writer};

/// A daemon whose cache `pub` asks the upstream and keeps what it gets.
fn keeping(upstream: &Upstream) -> Site {
    let entry = upstream.entry();
    Site::with(|config| {
        config["caches"][0]["upstreams"] = json!([entry]);
        config["caches"][0]["federation"] = json!({"keep": true});
        config["server"]["federation"] = json!({"lookup-timeout": "2s"});
    })
}

/// Waits until the path is in the cache itself, as one that was pushed is.
#[track_caller]
fn soon_holds(site: &Site, path: &Path) {
    let pusher = site.pusher("pub");
    wait_for(SOON, "the path is kept", || pusher.missing(&[&path.hash]).is_empty().then_some(()));
}

#[test]
fn what_was_read_once_is_there_when_the_upstream_is_not() {
    let upstream = Upstream::start();
    let mut site = keeping(&upstream);
    let path = Path::incompressible("kept", 2_000_000);
    upstream.has(&path);
    site.reader("pub").assert_has(&path);
    soon_holds(&site, &path);
    upstream.on_narinfo(&path, Act::Status(500));
    upstream.on_nar(&path, Act::Status(500));
    site.crash_and_restart();
    let info = site.reader("pub").assert_has(&path);
    assert!(info.is_signed_by(&site.public_key("pub")));
    assert!(info.url.starts_with("nar/"), "{}", info.url);
}

#[test]
fn a_narinfo_alone_keeps_nothing() {
    let upstream = Upstream::start();
    let site = keeping(&upstream);
    let path = Path::small("looked-at");
    upstream.has(&path);
    site.reader("pub").narinfo(&path);
    assert!(site.stored_nars("pub").is_empty());
    assert_eq!(upstream.asked(&format!("/{}", path.file_url())), 0);
}

#[test]
fn readers_at_the_same_time_share_one_download() {
    let upstream = Upstream::start();
    let site = keeping(&upstream);
    let path = Path::incompressible("wanted-by-many", 20_000_000);
    upstream.has(&path);
    let reader = site.reader("pub");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| reader.assert_has(&path));
        }
    });
    assert_eq!(upstream.asked(&format!("/{}", path.file_url())), 1);
}

#[test]
fn what_turns_out_wrong_is_not_kept() {
    let upstream = Upstream::start();
    let site = keeping(&upstream);
    let path = Path::incompressible("wrong", 2_000_000);
    upstream.has(&path);
    let mut wrong = path.file.clone();
    wrong[1_000_000] ^= 1;
    upstream.on_nar(&path, Act::Send(wrong));
    let info = site.reader("pub").narinfo(&path);
    assert!(site.cache("pub").get(&format!("/{}", info.url)).try_send().is_err());
    site.wait_for_empty_spool("pub");
    assert_eq!(site.pusher("pub").missing(&[&path.hash]), [path.hash.as_str()]);
    assert_eq!(site.stored_nars("pub"), Vec::<String>::new());
}

#[test]
fn what_a_reader_gave_up_is_kept_all_the_same() {
    let upstream = Upstream::start();
    let site = keeping(&upstream);
    let path = Path::incompressible("given-up", 30_000_000);
    upstream.has(&path);
    let info = site.reader("pub").narinfo(&path);
    let mut reply = site.cache("pub").get(&format!("/{}", info.url)).open().unwrap();
    reply.read_some(1000).unwrap();
    drop(reply);
    soon_holds(&site, &path);
    site.reader("pub").assert_has(&path);
}

#[test]
fn a_daemon_that_keeps_what_another_has_serves_it_when_that_is_gone() {
    let mut sites = start_with(2, |number, config| {
        if number == 0 {
            config["caches"][0]["federation"] = json!({"keep": true});
        }
    });
    let path = Path::incompressible("travelling", 1_000_000);
    sites[1].pusher("pub").push(&path);
    soon_finds(&sites[0], "pub", &path);
    sites[0].reader("pub").assert_has(&path);
    soon_holds(&sites[0], &path);
    sites[1].daemon().kill9();
    sites[0].reader("pub").assert_has(&path);
}

#[test]
fn what_nix_fetched_through_a_daemon_is_there_when_its_source_is_not() {
    let mut sites = start_with(2, |number, config| {
        if number == 0 {
            config["caches"][0]["federation"] = json!({"keep": true});
        }
    });
    let here = writer(&sites[1], "pub");
    let root = here.build_closure(5);
    here.ok(&format!("nix copy --to {} {root}", url(&sites[1], "pub")));
    let url = url(&sites[0], "pub");
    let first = reader(&sites[0], "pub");
    wait_for(SOON, "the closure comes through the other daemon", || {
        first.run(&format!("nix copy --from {url} {root}")).status.success().then_some(())
    });
    let held = |site: &Site| site.stored_nars("pub").len();
    wait_for(SOON, "all of it is kept", || (held(&sites[0]) == held(&sites[1])).then_some(()));
    sites[1].daemon().kill9();
    let second = reader(&sites[0], "pub");
    wait_for(SOON, "the closure comes from what was kept", || {
        second.run(&format!("nix copy --from {url} {root}")).status.success().then_some(())
    });
    assert_eq!(second.describe_closure(&root), here.describe_closure(&root));
}

#[test]
fn a_cache_that_keeps_too_much_lets_go_of_what_was_not_used_for_longest() {
    let upstream = Upstream::start();
    let entry = upstream.entry();
    let site = Site::with(|config| {
        config["caches"][0]["upstreams"] = json!([entry]);
        config["caches"][0]["federation"] = json!({"keep": true, "keep-max-size": "3500000"});
        config["server"]["federation"] = json!({"lookup-timeout": "2s"});
        config["server"]["gc-grace"] = json!("0s");
    });
    let paths: Vec<Path> =
        (0..6).map(|number| Path::incompressible(&format!("one-of-{number}"), 1_000_000)).collect();
    let (earlier, later) = paths.split_at(3);
    let held =
        |path: &Path| site.stored_nars("pub").iter().any(|file| file.contains(&path.file_hash_nix32()));
    // Asking the daemon for what it has would count as a use.
    let read = |path: &Path| {
        upstream.has(path);
        site.reader("pub").assert_has(path);
        wait_for(SOON, "the path is kept", || held(path).then_some(()));
    };
    earlier.iter().for_each(read);
    // Times are noted to the second.
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let noted = second();
    wait_for(SOON, "a second has passed", || (second() > noted).then_some(()));
    later.iter().for_each(read);
    wait_for(SOON, "the cache is small enough", || (site.stored_nars("pub").len() <= 3).then_some(()));
    assert!(later.iter().all(held) && !earlier.iter().any(held));
    // What has gone is fetched again.
    site.reader("pub").assert_has(&earlier[0]);
}
