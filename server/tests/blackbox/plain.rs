//! Plain requests are answered in front of the parser, and get the very bytes that the parser and the routes would give.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{Compression, Endpoint, Path, Permission, Site};

/// A header that changes no reply, but is more than a plain request has.
const DETOUR: &str = "TE: trailers\r\n";

/// Sends a request and returns the reply without its date.
fn reply(stream: &mut TcpStream, request: &str) -> Vec<u8> {
    stream.write_all(request.as_bytes()).unwrap();
    receive(stream, request)
}

/// Receives the reply to a request, and returns it without its date.
fn receive(stream: &mut TcpStream, request: &str) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(
            stream.read(&mut byte).unwrap(),
            1,
            "{request}: cut off after {}",
            String::from_utf8_lossy(&head)
        );
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).unwrap();
    let (before, after) = text.split_once("\r\ndate: ").unwrap();
    let (date, after) = after.split_once("\r\n").unwrap();
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    let mut reply = format!("{before}\r\n{after}").into_bytes();
    let length = text
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.lines().next().unwrap().parse::<usize>().unwrap());
    if !request.starts_with("HEAD") && !text.starts_with("HTTP/1.1 304") {
        let start = reply.len();
        reply.resize(start + length, 0);
        stream.read_exact(&mut reply[start..]).unwrap();
    }
    reply
}

struct Asked {
    endpoint: Endpoint,
    target: String,
    headers: String,
}

fn asked(site: &Site, paths: &[Path]) -> Vec<Asked> {
    let token = site.token("priv", Permission::Read);
    let write_only_other = site.token("pub", Permission::Write);
    let basic = |token: &str| STANDARD.encode(format!("user:{token}"));
    let mut asked = Vec::new();
    for cache in ["pub", "priv"] {
        let ways = [
            (site.cache(cache), String::new()),
            (site.cache_port(cache), String::new()),
            (site.api(), format!("/api/v1/cache/{cache}")),
            (site.api(), String::new()),
            (site.cache(cache).named(&site.cache(cache).host.to_ascii_uppercase()), String::new()),
            (site.api().named("nobody.example"), String::new()),
        ];
        let mut targets = Vec::new();
        for path in paths {
            targets.push(format!("/{}.narinfo", path.hash));
            targets.push(format!("/{}", path.file_url()));
            targets.push(format!("/{}.ls", path.hash));
        }
        let some = &paths[0];
        let hex = format!("/nar/{}.nar.zst", some.file_hash_hex());
        let other = Path::small("never-pushed");
        targets.extend([
            hex,
            format!("/nar/{}.nar", some.file_hash_nix32()),
            format!("/{}.narinfo", other.hash),
            format!("/{}", other.file_url()),
            format!("/{}.narinfo", &some.hash[1..]),
            format!("/{}.narinfo", some.hash.to_uppercase()),
            format!("/{}e.narinfo", &some.hash[1..]),
            format!("//{}.narinfo", some.hash),
            format!("/./{}.narinfo", some.hash),
            format!("/{}.narinfo/", some.hash),
            "/.narinfo".to_owned(),
            "/nar/".to_owned(),
            "/nar/x.nar.xz".to_owned(),
            "/nix-cache-info".to_owned(),
            "/".to_owned(),
        ]);
        for (endpoint, prefix) in ways {
            for target in &targets {
                for authorization in [
                    String::new(),
                    format!("Authorization: Bearer {token}\r\n"),
                    format!("authorization:Basic {}\r\n", basic(&token)),
                    format!("Authorization: Bearer {write_only_other}\r\n"),
                    "Authorization: rubbish\r\n".to_owned(),
                ] {
                    let target = format!("{prefix}{target}");
                    asked.push(Asked { endpoint: endpoint.clone(), target, headers: authorization });
                }
            }
        }
    }
    asked
}

#[test]
fn a_plain_request_gets_the_reply_that_the_routes_give() {
    let site = Site::start();
    let paths = [
        Path::small("hot"),
        Path::incompressible("medium", 100_000),
        Path::incompressible("large", 700_000).compressed_with(Compression::Zstd),
    ];
    for cache in ["pub", "priv"] {
        let pusher = site.pusher(cache);
        paths.iter().for_each(|path| pusher.push(path));
    }
    let asked = asked(&site, &paths);
    // A connection for each address, so that requests of both kinds follow each other.
    let mut streams: Vec<(Endpoint, TcpStream)> = Vec::new();
    for Asked { endpoint, target, headers } in &asked {
        let at = streams.iter().position(|(open, _)| open.address == endpoint.address).unwrap_or_else(|| {
            streams.push((endpoint.clone(), endpoint.connect().unwrap()));
            streams.len() - 1
        });
        let stream = &mut streams[at].1;
        for method in ["GET", "HEAD"] {
            let request = |more: &str| {
                format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n{headers}{more}\r\n", endpoint.host)
            };
            // The first time, what is answered may not be in memory yet.
            let expected = reply(stream, &request(DETOUR));
            for more in ["", "User-Agent: x\r\nConnection: keep-alive\r\n", DETOUR] {
                let got = reply(stream, &request(more));
                assert!(
                    got == expected,
                    "{}\n{}\n---\n{}",
                    request(more),
                    String::from_utf8_lossy(&got[..got.len().min(1000)]),
                    String::from_utf8_lossy(&expected[..expected.len().min(1000)])
                );
            }
        }
    }
}

#[test]
fn requests_need_not_wait_for_replies() {
    let site = Site::start();
    let paths = [Path::small("one"), Path::incompressible("two", 900_000)];
    let pusher = site.pusher("pub");
    paths.iter().for_each(|path| pusher.push(path));
    let cache = site.cache("pub");
    let mut requests = Vec::new();
    for path in &paths {
        for target in [format!("/{}.narinfo", path.hash), format!("/{}", path.file_url())] {
            for more in ["", DETOUR] {
                requests.push(format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{more}\r\n", cache.host));
            }
        }
    }
    let mut stream = cache.connect().unwrap();
    let expected: Vec<_> = requests.iter().map(|request| reply(&mut stream, request)).collect();
    for _ in 0..20 {
        let mut sender = stream.try_clone().unwrap();
        let all = requests.concat();
        let sending = std::thread::spawn(move || sender.write_all(all.as_bytes()).unwrap());
        for (request, expected) in requests.iter().zip(&expected) {
            let got = receive(&mut stream, request);
            assert!(&got == expected, "{request}");
        }
        sending.join().unwrap();
    }
}
