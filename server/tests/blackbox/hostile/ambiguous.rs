//! Requests that two servers may understand differently, and requests that a page of another site makes a browser send.

use std::io::{Read as _, Write as _};

use serde_json::json;

use crate::harness::site::HOST;
use crate::harness::{Path, Permission, Site};

/// Sends these bytes on a new connection, and returns the status line of the first reply.
fn reply_to(site: &Site, request: &str) -> String {
    let mut stream = site.api().connect().unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 && byte[0] != b'\r' {
        reply.push(byte[0].into());
    }
    reply
}

#[test]
fn a_request_that_can_be_understood_in_two_ways_is_refused() {
    let site = Site::start();
    let ask = |request: &str| reply_to(&site, &request.replace("HOST", HOST).replace('\n', "\r\n"));
    assert_eq!(ask("GET /api/v1/cache/pub HTTP/1.1\nHost: HOST\n\n"), "HTTP/1.1 200 OK");
    assert_eq!(ask("GET http://HOST/api/v1/cache/pub HTTP/1.1\nHost: HOST\n\n"), "HTTP/1.1 200 OK");
    for request in [
        "GET /api/v1/cache/pub HTTP/1.1\nHost: HOST\nHost: HOST\n\n",
        "GET /api/v1/cache/pub HTTP/1.1\nHost: HOST\nHost: evil.example\n\n",
        "GET http://evil.example/api/v1/cache/pub HTTP/1.1\nHost: HOST\n\n",
        "POST /api/v1/cache/pub/narinfo HTTP/1.1\nHost: HOST\nContent-Length: 2\nContent-Length: 3\n\n[]",
        "POST /api/v1/cache/pub/narinfo HTTP/1.1\nHost: HOST\nContent-Length: 2\nTransfer-Encoding: chunked\n\n0\n\n",
        "POST /api/v1/cache/pub/narinfo HTTP/1.1\nHost: HOST\nTransfer-Encoding: chunked\nContent-Length: 2\n\n0\n\n",
    ] {
        assert!(ask(request).starts_with("HTTP/1.1 400"), "{request}: {}", ask(request));
    }
    // Lines that end with a line feed alone.
    let bare = |request: &str| reply_to(&site, &request.replace("HOST", HOST));
    for request in [
        "GET /api/v1/cache/pub HTTP/1.1\nHost: HOST\n\n",
        "GET /api/v1/cache/pub HTTP/1.1\r\nHost: HOST\nX: y\r\n\r\n",
        "GET /api/v1/cache/pub HTTP/1.1\r\nHost: HOST\r\n\n",
    ] {
        assert!(bare(request).starts_with("HTTP/1.1 400"), "{request}: {}", bare(request));
    }
}

#[test]
fn nothing_is_smuggled_behind_a_request_on_the_same_connection() {
    let site = Site::start();
    let get = format!("GET /nix-cache-info HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let chunked = format!(
        "POST /api/v1/cache/pub/narinfo HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"
    );
    let bad = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{get}"
    );
    let mut stream = site.api().connect().unwrap();
    stream.write_all(format!("{get}{chunked}{get}{bad}").as_bytes()).unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).unwrap();
    let statuses: Vec<&str> = replies.matches("HTTP/1.1 ").collect();
    assert_eq!(statuses.len(), 4, "{replies}");
    assert!(replies.contains("HTTP/1.1 400"), "{replies}");
}

#[test]
fn every_reply_tells_browsers_to_run_nothing() {
    let site = Site::start();
    let path = Path::small("shown");
    site.pusher("pub").push(&path);
    let nar = format!("/{}", site.reader("pub").narinfo(&path).url);
    let narinfo = format!("/{}.narinfo", path.hash);
    for target in [narinfo.as_str(), &nar, "/nix-cache-info", "/log/x.drv", "/nothing"] {
        let reply = site.cache("pub").get(target).send();
        assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"), "{target}");
        assert_eq!(reply.header("Referrer-Policy"), Some("no-referrer"), "{target}");
        assert!(reply.header("Content-Security-Policy").unwrap().contains("default-src 'none'"), "{target}");
    }
}

#[test]
fn a_page_of_another_site_changes_nothing_with_a_token_that_a_browser_keeps() {
    let site = Site::start();
    let path = Path::small("pinned");
    site.pusher("pub").push(&path);
    let token = site.token("pub", Permission::Write);
    let pin = || {
        let body = json!({"name": "evil", "storePath": path.store_path(), "artifacts": [], "keep": null});
        site.api().post("/api/v1/cache/pub/pin").json(&body)
    };
    pin().basic("", &token).header("Origin", "https://evil.example").send().expect(403);
    pin().basic("", &token).header("Origin", "null").send().expect(403);
    let form = site.api().post("/api/v1/cache/pub/pin").body("{}").header("Content-Type", "text/plain");
    form.basic("", &token).send().expect(403);
    // Nix and cachix do not do that.
    pin().basic("", &token).send().expect(200);
    pin().bearer(&token).header("Origin", "https://evil.example").send().expect(200);
}
