//! Queries a host for the nodes that it knows without becoming known to it.
//!
//! Our node cannot query an address that is no longer in its table, and a second, short-lived node would stay in the tables of
//! others. So this module speaks the protocol itself (BEP 5 and BEP 44).

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tokio::net::UdpSocket;

/// How long the host may take to reply.
const PATIENCE: Duration = Duration::from_secs(2);
/// The bytes of a node in a reply: id, address, port.
const COMPACT_NODE: usize = 20 + 4 + 2;

/// Returns the nodes that the host knows; `None` if it does not reply.
pub async fn neighbours(bind: Ipv4Addr, host: SocketAddrV4) -> Option<BTreeSet<SocketAddrV4>> {
    tokio::time::timeout(PATIENCE, ask(bind, host)).await.ok()?.ok()
}

async fn ask(bind: Ipv4Addr, host: SocketAddrV4) -> io::Result<BTreeSet<SocketAddrV4>> {
    let mut random = [0; 44];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let (id, rest) = random.split_at(20);
    let (target, transaction) = rest.split_at(20);
    let query =
        [b"d1:ad2:id20:", id, b"6:target20:", target, b"e1:q3:get2:roi1e1:t4:", transaction, b"1:y1:qe"]
            .concat();
    let socket = UdpSocket::bind((bind, 0)).await?;
    socket.connect(host).await?;
    socket.send(&query).await?;
    let mut answer = [0; 2048];
    loop {
        let length = socket.recv(&mut answer).await?;
        let answer = &answer[..length];
        if find(answer, b"1:t4:").is_some_and(|rest| rest.starts_with(transaction)) {
            return Ok(nodes(answer));
        }
    }
}

/// Returns what follows `marker`.
fn find<'a>(bytes: &'a [u8], marker: &[u8]) -> Option<&'a [u8]> {
    let position = bytes.windows(marker.len()).position(|window| window == marker)?;
    bytes.get(position + marker.len()..)
}

fn nodes(answer: &[u8]) -> BTreeSet<SocketAddrV4> {
    let compact = || {
        let rest = find(answer, b"5:nodes")?;
        let colon = rest.iter().position(|byte| *byte == b':')?;
        let length: usize = std::str::from_utf8(&rest[..colon]).ok()?.parse().ok()?;
        rest.get(colon + 1..)?.get(..length)
    };
    let address = |node: &[u8]| {
        let ip: [u8; 4] = node[20..24].try_into().ok()?;
        Some(SocketAddrV4::new(ip.into(), u16::from_be_bytes([node[24], node[25]])))
    };
    compact().unwrap_or_default().chunks_exact(COMPACT_NODE).filter_map(address).collect()
}
