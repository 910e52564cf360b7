//! Bulk queries, which anybody may send to a public cache, and which are large.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{MIB, assert_serves_all, begin, peak_memory, warm_up};
use crate::harness::path::random_hash;
use crate::harness::{Request, Site};

/// What all these attacks together may cost.
const BOUND: u64 = 80 * MIB;

fn query(site: &Site) -> Request {
    site.api().post("/api/v1/cache/pub/narinfo").header("Content-Type", "application/json")
}

fn list(count: usize) -> Vec<u8> {
    let hash = random_hash();
    let mut body = b"[".to_vec();
    for number in 0..count {
        let separator = if number == 0 { "" } else { "," };
        body.extend_from_slice(format!("{separator}\"{number:08}{}\"", &hash[8..]).as_bytes());
    }
    body.push(b']');
    body
}

fn ask(site: &Site, count: usize) -> Value {
    query(site).body(list(count)).send().expect(200).json()
}

/// Begins this request 100 times. Says of each how many bytes of its body were sent.
fn begin_100(request: &Request) -> Vec<(TcpStream, usize)> {
    let begin_one = |_| {
        let stream = begin(request, b"");
        stream.set_nonblocking(true).unwrap();
        (stream, 0)
    };
    (0..100).map(begin_one).collect()
}

/// Sends more of the body for each, as far as the daemon takes it.
fn send_more(attackers: &mut [(TcpStream, usize)], body: &[u8]) {
    for (stream, sent) in attackers {
        match stream.write(&body[*sent..body.len().min(*sent + (256 << 10))]) {
            Ok(written) => *sent += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // It was refused.
            Err(_) => *sent = body.len(),
        }
    }
}

#[test]
fn unfinished_bulk_queries_take_little_memory_and_stop_no_one() {
    let site = Site::start();
    let before = warm_up(&site);
    let body = list(430_000);
    let request = query(&site).header("Content-Length", &(body.len() + 2).to_string());
    let mut attackers = begin_100(&request);
    // Each sends all but the last bytes, as far as the daemon takes it.
    let until = Instant::now() + Duration::from_secs(8);
    let mut asked = 0;
    while Instant::now() < until {
        send_more(&mut attackers, &body);
        let missing = ask(&site, 3);
        assert_eq!(missing.as_array().unwrap().len(), 3);
        asked += 1;
    }
    assert!(asked > 3, "{asked} queries were answered beside the attack");
    assert_eq!(ask(&site, 50_001).as_array().unwrap().len(), 50_001);
    assert_serves_all(&site);
    let more = peak_memory(&site) - before;
    assert!(more < BOUND, "{} MiB more", more / MIB);
}

#[test]
fn many_large_bulk_queries_at_once_take_little_memory() {
    let site = Site::start();
    let before = warm_up(&site);
    const COUNT: usize = 450_000;
    let body = list(COUNT);
    let barrier = Barrier::new(20);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let asking: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let reply = query(&site).body(body.clone()).send();
                    match reply.status {
                        200 => assert_eq!(reply.json().as_array().unwrap().len(), COUNT),
                        503 => assert!(reply.header("Retry-After").is_some()),
                        other => panic!("{other}: {}", reply.text()),
                    }
                    reply.status
                })
            })
            .collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200), "{statuses:?}");
    let more = peak_memory(&site) - before;
    assert!(more < BOUND, "{} MiB more, {statuses:?}", more / MIB);
}

#[test]
fn large_bodies_of_clients_with_a_token_take_little_memory() {
    let site = Site::start();
    let before = warm_up(&site);
    let target = format!("/{}.narinfo", random_hash());
    let token = site.pusher("pub").token;
    let body = vec![b'x'; 4 << 20];
    let request = site.cache("pub").put(&target).bearer(&token);
    let request = request.header("Content-Length", &(body.len() + 1).to_string());
    let mut attackers = begin_100(&request);
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        send_more(&mut attackers, &body);
        thread::yield_now();
    }
    assert_serves_all(&site);
    let more = peak_memory(&site) - before;
    assert!(more < BOUND, "{} MiB more", more / MIB);
}

#[test]
fn a_bulk_query_may_spell_its_list_in_any_way_that_json_allows() {
    let site = Site::start();
    let hash = random_hash();
    let escaped = format!("\\u{:04x}{}", u32::from(hash.as_bytes()[0]), &hash[1..]);
    let body = format!(" [\n\t\"{escaped}\" ,\r\n \"{hash}\" ] \n");
    assert_eq!(query(&site).body(body.clone()).send().expect(200).json(), json!([hash, hash]));
    assert_eq!(query(&site).chunked(body, 1).send().expect(200).json(), json!([hash, hash]));
    let refused = query(&site).body(format!("[\"{hash}\", \"no\\thash\"]")).send().expect(400);
    assert!(refused.text().contains("`no\\thash` is not a store path hash"), "{}", refused.text());
    let refused = query(&site).body(format!("[\"{hash}\" \"{hash}\"]")).send().expect(400);
    assert!(refused.text().contains("byte 37"), "{}", refused.text());
}
