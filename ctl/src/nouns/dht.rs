//! The DHT through which nodes find each other.

use admin_api::{DhtInfo, DhtRecord, ReadRecord, RecordContent, ShowDht, WriteNote};
use clap::Subcommand;

use crate::cli::value::StorePath;
use crate::client::Client;
use crate::error::Error;
use crate::output::{Column, Fields, Look, Output, Table, count, counted, plain, relative, size};

/// `cachectl dht …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the state of this node and the progress of announcing paths
    #[command(after_help = "Examples:\n  \
        cachectl dht status\n  \
        cachectl dht status --json | jq .announcing")]
    Status,
    /// Show a record
    ///
    /// The record n:NODE describes a node, m:0 to m:3 list nodes, p:HASH lists the caches that have a store path, and
    /// x:NAME is a note.
    #[command(after_help = "Examples:\n  \
        cachectl dht get p:0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq\n  \
        cachectl dht get /nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello\n  \
        cachectl dht get x:hello --json")]
    Get {
        /// The key, or a store path
        key: String,
    },
    /// Write a note, to test whether records reach other nodes
    ///
    /// Only the nodes that other records are about can write those. A note expires after a day.
    #[command(after_help = "Example:\n  cachectl dht put x:hello hi")]
    Put {
        /// The key: x: and 1 to 32 letters, digits, hyphens, dots or underscores
        key: String,
        /// The text
        text: String,
    },
}

/// `cachectl dht …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::Status => {
            let dht = client.call(&ShowDht {}).await?;
            output.print(&dht, |look| render(&dht, look))
        }
        Command::Get { key } => {
            let path = key.parse::<StorePath>().ok();
            let key = path.map_or(key, |path| format!("p:{}", path.hash()));
            let record = client.call(&ReadRecord { key }).await?;
            output.print(&record, |look| record_text(&record, look))
        }
        Command::Put { key, text } => {
            let record = client.call(&WriteNote { key, text }).await?;
            output.print(&record, |look| record_text(&record, look))
        }
    }
}

/// Renders the state of this node.
pub fn render(dht: &DhtInfo, look: &Look) -> String {
    let announcing = &dht.announcing;
    let mut fields = Fields::new();
    fields
        .add("Node", &dht.node)
        .add("Listens on", listening(dht))
        .add("Public address", dht.public_address.as_deref().unwrap_or("-"))
        .add("Network", network(dht))
        .add("To announce", format!("{} of {}", count(announcing.waiting), counted(announcing.round, "path")))
        .add("Written", format!("{} since the daemon started", counted(announcing.written, "record")))
        .add("Failed", counted(announcing.failed, "record"))
        .add_list("Known nodes", &dht.nodes);
    fields.render(look)
}

/// How many nodes there are. The estimate of the DHT is rough in a small network, where all nodes are known.
fn network(dht: &DhtInfo) -> String {
    let known = dht.nodes.len() as u64 + 1;
    match dht.estimated_size > 4 * known {
        true => format!("about {}", counted(dht.estimated_size, "node")),
        false => format!("{} known, with this one", counted(known, "node")),
    }
}

fn listening(dht: &DhtInfo) -> String {
    match &dht.problem {
        None => format!("UDP {}", dht.address),
        Some(problem) => format!("nothing ({problem}); retrying"),
    }
}

/// Renders a record.
pub fn record_text(record: &DhtRecord, look: &Look) -> String {
    let ago = |time: i64| relative(look.now, time);
    match &record.content {
        RecordContent::Node { url, said, load, free, caches, pages } => {
            let mut fields = Fields::new();
            fields
                .add("URL", url)
                .add("Written", ago(*said))
                .add("Load", format!("{} for each processor", super::peer::load(*load)))
                .add("Free", size(*free))
                .add("Records", count(u64::from(*pages)))
                .add_list("Caches", caches);
            fields.render(look)
        }
        RecordContent::Members(nodes) => {
            let mut table = Table::new([Column::text("NODE"), Column::text("SEEN")]);
            for node in nodes {
                table.add([node.node.as_str().into(), ago(node.seen).into()]);
            }
            table.render(look)
        }
        RecordContent::Providers(holdings) => {
            let mut table =
                Table::new([Column::text("NODE"), Column::text("CACHE"), Column::text("ANNOUNCED")]);
            for holding in holdings {
                let cache = holding.cache.clone().unwrap_or_else(|| format!("number {}", holding.number));
                table.add([holding.node.as_str().into(), cache.into(), ago(holding.said).into()]);
            }
            table.render(look)
        }
        RecordContent::Note { text, written } => format!("{}\nWritten {}.\n", plain(text), ago(*written)),
    }
}
