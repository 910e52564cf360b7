//! The other nodes of the network.

use std::time::Duration;

use admin_api::{ListPeers, PeerInfo, Ping, PingPeer};
use clap::Subcommand;

use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::output::{Cell, Column, Look, Output, Table, Tone, age};

/// The number of characters of an id that tables show. Networks are small.
const SHORT_ID: usize = 8;

/// `cachectl peer …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the other nodes of the network
    ///
    /// The circuit breaker of a node is open after repeated failures or bad data; until it closes, no more requests go to
    /// that node.
    #[command(after_help = "Examples:\n  \
        cachectl peer list\n  \
        cachectl peer list --json | jq '.[] | select(.shunned_for)'")]
    List,
    /// Check whether a node, or each of them, answers
    ///
    /// Exits with 9 if one does not answer.
    #[command(after_help = "Examples:\n  \
        cachectl peer ping\n  \
        cachectl peer ping 5f0c")]
    Ping {
        /// The beginning of the id that `peer list` shows [default: all nodes]
        #[arg(add = complete::peers())]
        node: Option<String>,
    },
}

/// `cachectl peer …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    let mut peers = client.call(&ListPeers {}).await?;
    match command {
        Command::List => output.print(&peers, |look| render(&peers, look)),
        Command::Ping { node } => {
            if let Some(beginning) = node {
                peers.retain(|peer| peer.node.starts_with(&beginning));
                if peers.is_empty() {
                    return Err(Error::NoSuchPeer { beginning });
                }
            }
            let mut pings = Vec::new();
            for peer in peers {
                pings.push(client.call(&PingPeer { node: peer.node }).await?);
            }
            output.print(&pings, |look| answers(&pings, look))?;
            let silent = pings.iter().filter(|ping| ping.latency.is_none()).count();
            if silent > 0 { Err(Error::SilentPeers { silent: silent as u64 }) } else { Ok(()) }
        }
    }
}

/// Renders a table of nodes.
pub fn render(peers: &[PeerInfo], look: &Look) -> String {
    if peers.is_empty() {
        return "No other nodes are known.\n".to_owned();
    }
    let mut table = Table::new([
        Column::text("NODE"),
        Column::long("URL"),
        Column::text("STATE"),
        Column::text("LATENCY"),
        Column::number("LOAD"),
        Column::text("SEEN"),
        Column::text("INVENTORY"),
        Column::prose("CACHES"),
    ]);
    for peer in peers {
        let state = match peer.breaker_open_for {
            Some(_) => Cell::new("breaker open", Tone::Bad),
            None => Cell::new("ok", Tone::Good),
        };
        table.add([
            short(&peer.node).into(),
            peer.url.as_str().into(),
            state,
            latency(peer.latency).into(),
            load(peer.load).into(),
            age(u64::try_from(look.now - peer.last_seen).unwrap_or(0)).into(),
            peer.inventory_age.map_or_else(|| "-".to_owned(), age).into(),
            peer.caches.join(", ").into(),
        ]);
    }
    table.render(look)
}

/// The load average of the last minute for each processor, which nodes tell in percent.
pub fn load(percent: impl Into<u32>) -> String {
    format!("{:.2}", f64::from(percent.into()) / 100.0)
}

/// Renders which nodes answered.
pub fn answers(pings: &[Ping], look: &Look) -> String {
    if pings.is_empty() {
        return "No other nodes are known.\n".to_owned();
    }
    let mut table = Table::new([
        Column::text("NODE"),
        Column::long("URL"),
        Column::text("LATENCY"),
        Column::prose("ERROR"),
    ]);
    for ping in pings {
        let error = ping.error.as_deref().unwrap_or_default();
        let answer = match ping.latency {
            Some(_) => Cell::new(latency(ping.latency), Tone::Good),
            None => Cell::new("no answer", Tone::Bad),
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
