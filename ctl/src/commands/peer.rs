//! The other nodes of the network.

use std::time::Duration;

use admin_api::{PeerInfo, Ping};

use crate::args::Peer;
use crate::client::Client;
use crate::error::Error;
use crate::output::{Cell, Column, Look, Output, Table, Tone, age};

/// Characters of an id that are shown. Networks are small.
const SHORT_ID: usize = 8;

/// `cachectl peer …`
pub async fn run(command: Peer, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Peer::List => {
            let peers = client.peers().await?;
            output.print(&peers, |look| render(&peers, look))
        }
        Peer::Ping { node } => {
            let mut peers = client.peers().await?;
            if let Some(beginning) = node {
                peers.retain(|peer| peer.node.starts_with(&beginning));
                if peers.is_empty() {
                    return Err(Error::NoSuchPeer { beginning });
                }
            }
            let mut pings = Vec::new();
            for peer in &peers {
                pings.push(client.ping_peer(&peer.node).await?);
            }
            output.print(&pings, |look| answers(&pings, look))?;
            let silent = pings.iter().filter(|ping| ping.latency.is_none()).count();
            if silent > 0 { Err(Error::SilentPeers { silent: silent as u64 }) } else { Ok(()) }
        }
    }
}

/// The nodes as a table.
pub fn render(peers: &[PeerInfo], look: &Look) -> String {
    if peers.is_empty() {
        return "No other node is known.\n".to_owned();
    }
    let mut table = Table::new([
        Column::text("NODE"),
        Column::prose("URL"),
        Column::text("STATE"),
        Column::text("LATENCY"),
        Column::text("LOAD"),
        Column::text("SEEN"),
        Column::text("DIGEST"),
        Column::prose("CACHES"),
    ]);
    for peer in peers {
        let state = match peer.shunned_for {
            Some(_) => Cell::new("shunned", Tone::Bad),
            None => Cell::new("ok", Tone::Good),
        };
        table.add([
            short(&peer.node).into(),
            peer.url.as_str().into(),
            state,
            latency(peer.latency).into(),
            format!("{} %", peer.load).into(),
            age(u64::try_from(look.now - peer.last_seen).unwrap_or(0)).into(),
            peer.digest_age.map_or_else(|| "-".to_owned(), age).into(),
            peer.caches.join(", ").into(),
        ]);
    }
    table.render(look)
}

/// Who answered.
pub fn answers(pings: &[Ping], look: &Look) -> String {
    if pings.is_empty() {
        return "No other node is known.\n".to_owned();
    }
    let mut table = Table::new([
        Column::text("NODE"),
        Column::text("URL"),
        Column::text("LATENCY"),
        Column::prose("ERROR"),
    ]);
    for ping in pings {
        let error = ping.error.as_deref().unwrap_or_default();
        let answer = match ping.latency {
            Some(_) => Cell::new(latency(ping.latency), Tone::Good),
            None => Cell::new("silent", Tone::Bad),
        };
        table.add([short(&ping.node).into(), ping.url.as_str().into(), answer, error.into()]);
    }
    table.render(look)
}

fn short(node: &str) -> &str {
    node.get(..SHORT_ID).unwrap_or(node)
}

fn latency(microseconds: Option<u64>) -> String {
    let milliseconds = |time: u64| format!("{:.1} ms", Duration::from_micros(time).as_secs_f64() * 1e3);
    microseconds.map_or_else(|| "-".to_owned(), milliseconds)
}
