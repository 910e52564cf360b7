//! As many clients as the daemon takes, none of which goes on: what it holds for them stays within the bounds of the README.

use std::io::Write as _;
use std::net::TcpStream;

use super::{MIB, assert_serves_all, begin, begin_receiving, peak_memory, warm_up};
use crate::harness::{Path, Site};

/// Connections of attackers, which leave some for others.
const MANY: usize = 4000;

/// What the README promises.
const BOUND: u64 = 512 * MIB;

#[track_caller]
fn assert_bounded(site: &Site, before: u64) {
    assert_serves_all(site);
    let more = peak_memory(site) - before;
    assert!(more < BOUND, "{} MiB more", more / MIB);
}

#[test]
fn thousands_of_readers_that_stand_still_take_bounded_memory() {
    let site = Site::start();
    let path = Path::incompressible("large", 64 << 20);
    site.pusher("pub").push(&path);
    let request = site.cache("pub").get(&format!("/{}", site.reader("pub").narinfo(&path).url));
    let before = warm_up(&site);
    let _stuck: Vec<TcpStream> = (0..MANY).map(|_| begin(&request, b"")).collect();
    assert_bounded(&site, before);
}

#[test]
fn thousands_of_unfinished_heads_take_bounded_memory() {
    let site = Site::start();
    let before = warm_up(&site);
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}", "x".repeat(60_000));
    let _stuck: Vec<TcpStream> = (0..MANY)
        .map(|_| {
            let mut stream = site.api().connect().unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_bounded(&site, before);
}

#[test]
fn a_thousand_uploads_that_stand_still_take_bounded_memory() {
    let site = Site::start();
    let path = Path::incompressible("slow", 1 << 20);
    let token = site.pusher("pub").token;
    let target = format!("/{}", path.file_url());
    let request = site.cache("pub").put(&target).bearer(&token);
    let request = request.header("Content-Length", &path.file.len().to_string());
    let before = warm_up(&site);
    let _stuck: Vec<TcpStream> =
        (0..1000).map(|_| begin_receiving(&request, &path.file[..200_000])).collect();
    assert_bounded(&site, before);
}
