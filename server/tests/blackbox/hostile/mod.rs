//! Attacks, each as a client of the real daemon, with a well-behaved client beside it that must not notice.

mod ambiguous;
mod authorization;
mod bulk_bodies;
mod decoders;
mod idle_connections;
mod memory;
mod open_uploads;
mod slow_logs;
mod slow_readers;

use std::fs;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use crate::harness::{Incoming, Path, Request, Site};

const MIB: u64 = 1 << 20;

/// The memory of the daemon, in bytes: the most it ever had.
fn peak_memory(site: &Site) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", site.daemon_pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Lets the daemon do what takes memory in any case, and returns what it had at most.
fn warm_up(site: &Site) -> u64 {
    assert_serves_all(site);
    peak_memory(site)
}

/// A well-behaved client pushes to one cache and reads from it.
#[track_caller]
fn assert_serves_all(site: &Site) {
    let path = Path::incompressible("bystander", 1 << 20);
    site.pusher("pub").push(&path);
    site.reader("pub").assert_has(&path);
}

/// A connection on which a request was begun: its head, and as many bytes of its body.
fn begin(request: &Request, body: &[u8]) -> TcpStream {
    let mut stream = request.endpoint().connect().unwrap();
    stream.write_all(&request.head()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

/// The same, and the daemon has begun to receive the body when this returns.
fn begin_receiving(request: &Request, body: &[u8]) -> TcpStream {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut stream = begin(&request.clone().header("Expect", "100-continue"), b"");
    let mut answer = [0; CONTINUE.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(CONTINUE));
    stream.write_all(body).unwrap();
    stream
}

/// The status of the reply on a connection.
fn status(stream: TcpStream) -> io::Result<u16> {
    Ok(Incoming::read(BufReader::new(stream), false)?.into_response()?.status)
}
