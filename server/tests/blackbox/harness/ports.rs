//! Free TCP ports for daemons that run beside each other.

use std::net::{Ipv4Addr, TcpListener};

use super::random_bytes;

/// Below the range that Linux hands out for outgoing connections, so that no connection of a neighbouring test can
/// take a port between its choice here and the daemon's `bind`.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// `N` different ports that were free a moment ago.
pub fn free<const N: usize>() -> [u16; N] {
    // Held until all are chosen.
    let mut listeners = Vec::new();
    std::array::from_fn(|_| {
        loop {
            let offset = u16::from_le_bytes(random_bytes()) % RANGE.len() as u16;
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, RANGE.start + offset)) {
                let port = listener.local_addr().unwrap().port();
                listeners.push(listener);
                return port;
            }
        }
    })
}
