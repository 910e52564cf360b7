//! Errors and limits: tests 73 to 76.

use std::io::{BufReader, Read as _, Write as _};
use std::time::Duration;

use serde_json::json;

use crate::harness::site::HOST;
use crate::harness::{Incoming, Path, Permission, Site, wait_for};

#[test]
fn t73_what_is_not_there_is_404_or_405_and_the_connection_survives() {
    let site = Site::start();
    let token = site.token("pub", Permission::Write);
    let unsupported = [
        ("GET", "/api"),
        ("GET", "/api/"),
        ("GET", "/api/v1"),
        ("GET", "/api/v1/user"),
        ("GET", "/api/v3/cache/pub"),
        ("GET", "/api/v1/cache"),
        ("GET", "/api/v1/cache/"),
        ("GET", "/api/v1/cache/pub/nothing/here"),
        ("GET", "/api/v1/cache/pub/key"),
        ("GET", "/api/v1/cache/pub/multipart-nar"),
        ("DELETE", "/api/v1/cache/pub"),
        ("PATCH", "/api/v1/cache/pub"),
        ("PUT", "/api/v1/cache/pub"),
        ("POST", "/api/v1/cache/pub"),
        ("BREW", "/api/v1/cache/pub"),
        ("OPTIONS", "/api/v1/cache/pub/narinfo"),
        ("DELETE", "/api/v1/cache/pub/narinfo"),
        ("POST", "/api/v1/cache/pub/no-such-thing"),
        ("POST", "/api/v2/deploy/no-such-thing"),
    ];
    let mut connection = BufReader::new(site.api().connect().unwrap());
    for (method, target) in unsupported {
        let request = site.api().request(method, target).bearer(&token).body("");
        let reply =
            request.send_on(&mut connection).unwrap_or_else(|error| panic!("{method} {target}: {error}"));
        assert!(matches!(reply.status, 404 | 405), "{} for {method} {target}", reply.status);
    }
    site.api().get("/api/v1/cache/pub").send_on(&mut connection).unwrap().expect(200);
}

#[test]
fn t74_an_overloaded_daemon_says_when_to_come_back() {
    let limit = 4;
    let site = Site::with(|config| config["server"]["max-connections"] = json!(limit));
    // Idle connections make room, so these are in the middle of a request.
    let mut busy = Vec::new();
    let refusal = wait_for(Duration::from_secs(20), "the limit is reached", || {
        let mut connection = site.api().connect().unwrap();
        let request = site.api().post("/api/v1/cache/pub/narinfo").header("Content-Length", "1000");
        connection.write_all(&request.header("Expect", "100-continue").head()).unwrap();
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).unwrap();
        if &answer != b"HTTP/1.1 100" {
            return site.api().get("/api/v1/cache/pub").try_send().ok();
        }
        busy.push(connection);
        assert!(busy.len() <= limit + 1, "the limit holds");
        let reply = site.api().get("/api/v1/cache/pub").try_send().ok()?;
        (reply.status != 200).then_some(reply)
    });
    assert!(matches!(refusal.status, 429 | 503), "{}", refusal.status);
    let pause: u32 = refusal.header("Retry-After").expect("Retry-After").parse().expect("whole seconds");
    assert!((1..=120).contains(&pause), "{pause}");

    drop(busy);
    wait_for(Duration::from_secs(20), "there is room again", || {
        let reply = site.api().get("/api/v1/cache/pub").try_send().ok()?;
        (reply.status == 200).then_some(())
    });
}

#[test]
fn t75_what_a_401_says_is_readable_and_tells_no_secrets() {
    let site = Site::start();
    let foreign = site.token("pub", Permission::Write);
    let path = Path::small("private");
    site.pusher("priv").push(&path);
    let nowhere = "/api/v1/cache/priv";
    let requests = [
        site.api().get(nowhere),
        site.api().get(nowhere).bearer("recorded-wrong-token"),
        site.api().get(nowhere).bearer(&foreign),
        site.api().get(nowhere).basic("user", &foreign),
        site.api().get(nowhere).header("Authorization", "Basic no-base64!"),
        site.api().get(nowhere).header("Authorization", "Digest x=y"),
        site.api().post(&format!("{nowhere}/narinfo")).json(&json!([])),
        site.api().post(&format!("{nowhere}/multipart-nar?compression=xz")).body(""),
        site.cache("priv").get("/nix-cache-info"),
        site.cache("priv").get(&format!("/{}.narinfo", path.hash)).basic("", &foreign),
    ];
    let directory = site.directory().to_str().unwrap();
    for request in requests {
        let what = String::from_utf8(request.head()).unwrap();
        let reply = request.send().expect(401);
        let kind = reply.header("Content-Type").unwrap_or_default();
        assert!(kind.starts_with("text/plain"), "{kind} for {what}");
        let text = reply.text();
        assert!(!text.trim().is_empty() && text.len() < 500, "{text:?} for {what}");
        for secret in [foreign.as_str(), "recorded-wrong-token", directory, &path.hash, "panicked", "sqlite"]
        {
            assert!(!text.contains(secret), "{text:?} for {what}");
        }
    }
    // Nix asks again with credentials only if it is told how.
    let challenge = site.cache("priv").get("/nix-cache-info").send().expect(401);
    assert!(challenge.header("WWW-Authenticate").unwrap_or_default().starts_with("Basic"));
}

/// Nothing from outside makes a handler panic on purpose, so this throws what it has at the daemon: nothing may end it,
/// and a connection whose request was understood must survive the refusal.
#[test]
fn t76_no_request_ends_the_daemon_or_a_well_formed_connection() {
    let mut site = Site::start();
    let raw: [&[u8]; 9] = [
        b"\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%zz%f HTTP/1.1\r\nHost: a..b\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"POST /api/v1/cache/pub/narinfo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /api/v1/cache/pub/narinfo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];
    for bytes in raw {
        let mut stream = site.api().connect().unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // A connection that makes no sense may be dropped.
        if stream.read_to_end(&mut answer).is_ok() && !answer.is_empty() {
            let status = Incoming::read(answer.as_slice(), false).unwrap().status;
            assert_ne!(status, 501, "{}", String::from_utf8_lossy(bytes));
            assert!(status < 500 || status == 505, "{status}: {}", String::from_utf8_lossy(bytes));
        }
    }

    let long = "x".repeat(6000);
    let mut connection = BufReader::new(site.api().connect().unwrap());
    let targets = [
        format!("/api/v1/cache/{long}"),
        format!("/{long}.narinfo"),
        "/api/v1/cache/%00".to_owned(),
        "/api/v1/cache/%ff".to_owned(),
        "/api/v1/cache/pub/%2e%2e.narinfo".to_owned(),
        "/api/v1/cache/pub/multipart-nar/%ff?uploadId=%ff&partNumber=%ff".to_owned(),
    ];
    for target in targets {
        for host in [HOST, "pub.cachix.test", "nobody.cachix.test", "[::1]:1", ""] {
            let request = site.on_host(host).get(&target);
            let reply =
                request.send_on(&mut connection).unwrap_or_else(|error| panic!("{host} {target}: {error}"));
            assert!((400..500).contains(&reply.status), "{} for {host} {target}", reply.status);
        }
    }
    site.api().get("/api/v1/cache/pub").send_on(&mut connection).unwrap().expect(200);
    assert!(site.daemon().has_ended().is_none());
    assert!(!site.daemon().log().contains("panicked"), "{}", site.daemon().log());
}
