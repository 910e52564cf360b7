//! Clients that ask for something and do not read it.

use std::io::Write as _;
use std::net::TcpStream;

use super::{assert_serves_all, begin};
use crate::harness::{Node, Path, Site, noise};

#[test]
fn readers_of_single_files_that_stand_still_hold_up_no_other() {
    let site = Site::start();
    // More than fits into the buffers of sockets.
    let large = noise(32 << 20);
    let path =
        Path::of("files", &Node::directory([("large", Node::file(large)), ("small", Node::file("small\n"))]));
    site.pusher("pub").push(&path);
    let request = site.cache("pub").get(&format!("/serve/{}/large", path.hash));
    let _stuck: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = begin(&request, b"");
            stream.flush().unwrap();
            stream
        })
        .collect();
    for _ in 0..3 {
        let reply = site.cache("pub").get(&format!("/serve/{}/small", path.hash)).send().expect(200);
        assert_eq!(reply.body, b"small\n");
    }
    assert_serves_all(&site);
}
