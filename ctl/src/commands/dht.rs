//! The DHT by which nodes find each other.

use admin_api::{DhtInfo, DhtRecord, RecordContent, WriteNote};

use crate::args::{Dht, StorePath};
use crate::client::Client;
use crate::error::Error;
use crate::output::{Column, Fields, Look, Output, Table, count, counted, plain, relative, size};

/// `cachectl dht …`
pub async fn run(command: Dht, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Dht::Status => {
            let dht = client.dht().await?;
            output.print(&dht, |look| render(&dht, look))
        }
        Dht::Get { key } => {
            let path = key.parse::<StorePath>().ok();
            let key = path.map_or(key, |path| format!("p:{}", path.hash()));
            let record = client.dht_record(key).await?;
            output.print(&record, |look| record_text(&record, look))
        }
        Dht::Put { key, text } => {
            let record = client.write_note(&WriteNote { key, text }).await?;
            output.print(&record, |look| record_text(&record, look))
        }
    }
}

/// One value per line.
pub fn render(dht: &DhtInfo, look: &Look) -> String {
    let announcing = &dht.announcing;
    let mut fields = Fields::new();
    fields
        .add("Node", &dht.node)
        .add("Listens on", listening(dht))
        .add("Seen as", dht.public_address.as_deref().unwrap_or("-"))
        .add("Network", format!("about {}", counted(dht.estimated_size.max(1), "node")))
        .add("To announce", format!("{} of {}", count(announcing.waiting), counted(announcing.round, "path")))
        .add("Stored", format!("{} since the start", counted(announcing.written, "record")))
        .add("Failed", counted(announcing.failed, "record"))
        .add_list("Known nodes", &dht.nodes);
    fields.render(look)
}

fn listening(dht: &DhtInfo) -> String {
    match &dht.problem {
        None => format!("UDP {}", dht.address),
        Some(problem) => format!("nothing: {problem}; retrying"),
    }
}

/// What a record says.
pub fn record_text(record: &DhtRecord, look: &Look) -> String {
    let ago = |time: i64| relative(look.now, time);
    match &record.content {
        RecordContent::Node { url, said, load, free, caches, pages } => {
            let mut fields = Fields::new();
            fields
                .add("URL", url)
                .add("Said", ago(*said))
                .add("Load", format!("{load} %"))
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
            let mut table = Table::new([Column::text("NODE"), Column::text("CACHE"), Column::text("SAID")]);
            for holding in holdings {
                let cache = holding.cache.clone().unwrap_or_else(|| format!("number {}", holding.number));
                table.add([holding.node.as_str().into(), cache.into(), ago(holding.said).into()]);
            }
            table.render(look)
        }
        RecordContent::Note { text, written } => format!("{}\nWritten {}.\n", plain(text), ago(*written)),
    }
}
