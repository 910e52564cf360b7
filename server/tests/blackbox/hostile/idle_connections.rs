//! Connections that are opened and then not used.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;

use serde_json::json;

use super::{assert_serves_all, begin_receiving, status};
use crate::harness::{Path, SOON, Site, wait_for};

const MOST: usize = 8;

fn small_site() -> Site {
    Site::with(|config| config["server"]["max-connections"] = json!(MOST))
}

#[test]
fn idle_connections_make_room_for_others() {
    let site = small_site();
    let mut silent: Vec<TcpStream> = Vec::new();
    let mut kept: Vec<BufReader<TcpStream>> = Vec::new();
    for _ in 0..3 * MOST {
        silent.push(site.api().connect().unwrap());
        silent.push(site.api().connect().unwrap());
        silent.last_mut().unwrap().write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
        let mut connection = BufReader::new(site.api().connect().unwrap());
        site.api().get("/api/v1/cache/pub").send_on(&mut connection).unwrap().expect(200);
        kept.push(connection);
        assert_serves_all(&site);
    }
    assert!(site.cachectl(&["status"]).status.success());
}

#[test]
fn requests_under_way_are_not_cut_off_for_others() {
    let site = small_site();
    let path = Path::incompressible("path", 1 << 20);
    let token = site.pusher("pub").token;
    let request = site.cache("pub").put(&format!("/{}", path.file_url())).bearer(&token);
    let request = request.header("Content-Length", &path.file.len().to_string());
    let mut uploads: Vec<TcpStream> =
        (0..MOST).map(|_| begin_receiving(&request, &path.file[..1000])).collect();
    // None of them is idle.
    let refused = wait_for(SOON, "all connections are in use", || {
        let reply = site.api().get("/api/v1/cache/pub").try_send().ok()?;
        (reply.status != 200).then_some(reply)
    });
    assert_eq!(refused.status, 503);
    assert!(site.cachectl(&["status"]).status.success());
    for upload in &mut uploads {
        upload.write_all(&path.file[1000..]).unwrap();
    }
    for upload in uploads {
        assert_eq!(status(upload).unwrap(), 200);
    }
    assert_serves_all(&site);
}
