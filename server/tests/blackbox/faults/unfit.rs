//! What a client asks for that no file system takes is its own fault: nobody else notices.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;

use crate::harness::push::content_md5;
use crate::harness::{Compression, Endpoint, Incoming, Path, Permission, Pusher, Site};

const GIB: u64 = 1 << 30;

/// Begins a PUT of a part with this length and sends one byte of it.
fn announce(endpoint: &Endpoint, target: &str, len: u64) -> TcpStream {
    let mut stream = endpoint.connect().unwrap();
    let md5 = content_md5(b"x");
    let host = &endpoint.host;
    write!(
        stream,
        "PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-MD5: {md5}\r\nContent-Length: {len}\r\n\r\nx"
    )
    .unwrap();
    stream
}

/// Another client's pushes, which have to work.
#[track_caller]
fn others_go_on(site: &Site, pusher: &Pusher) {
    for _ in 0..3 {
        let path = Path::small("other");
        pusher.push(&path);
        site.reader("pub").assert_has(&path);
    }
}

#[test]
fn announcing_huge_parts_does_not_stop_others() {
    let site = Site::start();
    let (hostile, other) = (site.pusher("pub"), site.pusher("pub"));
    for (len, number, refused) in
        [(1024 * GIB, 20, true), (6 * GIB, 2, true), (5 * GIB, 10_000, false), (u64::MAX / 4, 3, true)]
    {
        let upload = hostile.create(Compression::Zstd);
        let (endpoint, target) = hostile.resolve(&hostile.part_url(&upload, 1, b"x"));
        let begun = announce(&endpoint, &target, len);
        let _open = if refused {
            assert_eq!(Incoming::read(BufReader::new(begun), false).unwrap().status, 413, "{len}");
            None
        } else {
            Some(begun)
        };
        for _ in 0..3 {
            let url = hostile.part_url(&upload, number, b"small");
            let status = hostile.put(&url, b"small").status;
            assert!([200, 413].contains(&status), "{status}");
            others_go_on(&site, &other);
        }
        hostile.abort(&upload);
    }
    let list = site.cachectl_ok(&["storage", "list", "--cache", "pub", "--json"]);
    assert!(list.contains("\"ok\""), "{list}");
}

#[test]
fn names_that_are_too_long_do_not_stop_others() {
    let site = Site::start();
    let token = site.token("pub", Permission::Write);
    let name = format!("{}-{}.drv", "a".repeat(32), "n".repeat(300));
    for _ in 0..3 {
        let put = site.cache("pub").put(&format!("/log/{name}")).basic("", &token).body("a log");
        assert_eq!(put.send().status / 100, 4);
        others_go_on(&site, &site.pusher("pub"));
    }
}
