//! Uploads that are begun and never finished.

use std::io::{BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{assert_serves_all, begin, status};
use crate::harness::daemon::DAEMON;
use crate::harness::push::content_md5;
use crate::harness::{Compression, Path, Permission, Pusher, Site};

/// A daemon that may not open many files, and so has few places for uploads: 256 in total.
fn small_site() -> Site {
    Site::launched(
        |_, _| {},
        |_| {
            let mut command = Command::new("/bin/sh");
            command.env_clear().stdin(Stdio::null());
            command.args(["-c", "ulimit -n 1024 && exec \"$0\" \"$@\"", DAEMON]);
            command
        },
    )
}

/// Opens uploads until one is refused; returns how many there are, and the refusal.
fn open_all(site: &Site, cache: &str, token: &str) -> (usize, String) {
    let target = format!("/api/v1/cache/{cache}/multipart-nar?compression=zst");
    let mut connection = BufReader::new(site.api().connect().unwrap());
    for opened in 0..300 {
        let reply = site.api().post(&target).bearer(token).body("").send_on(&mut connection).unwrap();
        if reply.status != 200 {
            assert_eq!(reply.status, 503, "{}", reply.text());
            assert!(reply.header("Retry-After").is_some());
            return (opened, reply.text().to_owned());
        }
    }
    panic!("no upload was refused");
}

#[test]
fn one_token_leaves_room_for_the_uploads_of_others() {
    let site = small_site();
    let (opened, refusal) = open_all(&site, "my-cache-2", &site.token("my-cache-2", Permission::Write));
    assert!(opened >= 100, "{opened}");
    assert!(refusal.contains("this auth token"), "{refusal}");
    assert_serves_all(&site);
    // Nor do several tokens of one cache take the place of the other caches.
    let mut total = opened;
    for _ in 0..20 {
        let token = site.create_token(&["--cache", "my-cache-2", "--permission", "write"]);
        total += open_all(&site, "my-cache-2", &token).0;
    }
    assert!(total < 256 * 3 / 4, "{total}");
    assert_serves_all(&site);
}

fn token_ids(site: &Site) -> Vec<String> {
    let tokens: Vec<Value> = serde_json::from_str(&site.cachectl_ok(&["token", "list", "--json"])).unwrap();
    tokens.iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_revoked_token_has_no_uploads_and_no_part_urls() {
    let site = Site::start();
    let before = token_ids(&site);
    let token = site.create_token(&["--cache", "pub", "--permission", "write"]);
    let id = token_ids(&site).into_iter().find(|id| !before.contains(id)).expect("the new token is listed");
    let pusher = Pusher::new(site.api(), "pub", &token);
    let path = Path::small("path");
    let upload = pusher.create(Compression::Zstd);
    let url = pusher.part_url(&upload, 1, &path.file);
    pusher.put(&url, &path.file).expect_success();
    let (endpoint, target) = pusher.resolve(&url);
    let request = endpoint.put(&target).header("Content-MD5", &content_md5(&path.file));
    let request = request.header("Content-Length", &path.file.len().to_string());
    let mut under_way = begin(&request, &path.file[..5]);

    site.cachectl_ok(&["token", "revoke", &id]);

    site.wait_for_empty_spool("pub");
    let refused = pusher.put(&url, &path.file);
    assert!(matches!(refused.status, 403 | 404), "{}", refused.status);
    // What was being sent is not taken either.
    let _ = under_way.write_all(&path.file[5..]);
    if let Ok(status) = status(under_way) {
        assert!((400..500).contains(&status), "{status}");
    }
    assert_serves_all(&site);
}

#[test]
fn an_upload_that_ended_gives_its_place_back() {
    let site = small_site();
    let pusher = site.pusher("pub");
    for _ in 0..200 {
        let upload = pusher.create(Compression::Zstd);
        pusher.abort(&upload).expect(200);
    }
    assert_serves_all(&site);
}

#[test]
fn an_operator_sees_unfinished_uploads_and_ends_them() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::incompressible("begun", 100_000);
    let upload = pusher.create(Compression::Zstd);
    let url = pusher.part_url(&upload, 1, &path.file);
    pusher.put(&url, &path.file).expect_success();
    let list =
        || -> Vec<Value> { serde_json::from_str(&site.cachectl_ok(&["upload", "list", "--json"])).unwrap() };
    let [listed] = <[Value; 1]>::try_from(list()).expect("one upload");
    assert_eq!((&listed["cache"], &listed["bytes"]), (&"pub".into(), &path.file.len().into()));
    assert_eq!(listed["token"].as_str(), token_ids(&site).first().map(String::as_str));
    let id = listed["id"].as_str().unwrap();
    assert!(site.cachectl_ok(&["upload", "list"]).contains(id));
    assert!(site.cachectl_ok(&["upload", "abort", id]).contains(id));
    assert_eq!(list(), Vec::<Value>::new());
    site.wait_for_empty_spool("pub");
    pusher.put(&url, &path.file).expect_refusal();
    assert!(!site.cachectl(&["upload", "abort", id]).status.success());
    assert_serves_all(&site);
}
