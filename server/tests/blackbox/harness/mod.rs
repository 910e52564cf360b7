//! What the tests stand on: the daemon as a process, a plain HTTP client, a client-side push, and second
//! implementations of the formats, so that the daemon's own code never judges itself.

pub mod browser;
pub mod cluster;
pub mod daemon;
pub mod faulty;
#[allow(dead_code, reason = "shared with other tests, which need other parts of it")]
#[path = "../../../crates/nar-storage/tests/support/garage.rs"]
pub mod garage;
pub mod http;
pub mod namespace;
pub mod nar;
pub mod narinfo;
pub mod nix32;
pub mod nix_host;
pub mod path;
pub mod ports;
pub mod push;
pub mod read;
pub mod response;
pub mod site;
pub mod tap;
pub mod websocket;

use std::time::{Duration, Instant};

pub use cluster::Cluster;
pub use http::{Endpoint, Request};
pub use nar::Node;
pub use narinfo::NarInfo;
pub use path::{Compression, Path, noise};
pub use push::Pusher;
pub use response::Incoming;
pub use response::{Framing, Response};
pub use site::{Permission, Site};

/// How long anything may take that happens "soon": generous, because it is only ever used up by a failing test.
pub const SOON: Duration = Duration::from_secs(20);

/// Asks until there is an answer.
#[track_caller]
pub fn wait_for<T>(limit: Duration, what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_unless(limit, ask).unwrap_or_else(|| panic!("waited {limit:?} in vain: {what}"))
}

/// Asks until there is an answer or the time is up.
pub fn wait_unless<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = ask();
        if answer.is_some() || Instant::now() >= deadline {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
