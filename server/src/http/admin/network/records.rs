//! Single records of the DHT, for people.

use admin_api::{ApiError, DhtRecord, ErrorCode, Holding, ReadRecord, RecordContent, SeenNode, WriteNote};
use peer_network::record::{Holder, Name, NodePage, Note};
use peer_network::{Content, DhtError, Network, NodeId, Stamp};

use super::super::Answer;
use super::super::error::failure;

const KEYS: &str = "`n:NODE` is a node, `m:0` to `m:3` are lists of nodes, `p:HASH` says who has a store path, `x:NAME` is a note";

pub(super) async fn read(network: &Network, wanted: ReadRecord) -> Answer<DhtRecord> {
    let ReadRecord { key } = wanted;
    let name = Name::parse(&key).ok_or_else(|| malformed(&key))?;
    let nothing = || failure(ErrorCode::NotFound, format!("the DHT has nothing under `{key}`"), None);
    let content = network.read_record(&name).await.ok_or_else(nothing)?;
    Ok(DhtRecord { content: shown(network, content), key })
}

/// Writes a note and returns what can be read of it then.
pub(super) async fn write(network: &Network, note: WriteNote) -> Answer<DhtRecord> {
    let WriteNote { key, text } = note;
    let name = match Name::parse(&key).ok_or_else(|| malformed(&key))? {
        Name::Note(name) => name,
        Name::Node(..) | Name::Members(_) | Name::Providers(_) => {
            let hint = Some("put a note instead, under a key such as `x:hello`");
            let message = format!("`{key}` is written by the nodes that it is about");
            return Err(failure(ErrorCode::Invalid, message, hint));
        }
    };
    if text.len() > Note::LONGEST {
        let message = format!("a note of {} bytes, and the most are {}", text.len(), Note::LONGEST);
        return Err(failure(ErrorCode::Invalid, message, None));
    }
    network.write_note(name, &text).await.map_err(|error| refusal(&error))?;
    tracing::info!(key, "a note was put into the DHT");
    read(network, ReadRecord { key }).await
}

fn malformed(key: &str) -> ApiError {
    failure(ErrorCode::Invalid, format!("`{key}` is no key of a record"), Some(KEYS))
}

fn refusal(error: &DhtError) -> ApiError {
    let hint = Some("`cachectl dht status` shows which nodes are known");
    failure(ErrorCode::Unavailable, crate::chain::chain(error), hint)
}

fn shown(network: &Network, content: Content) -> RecordContent {
    match content {
        Content::Node(page) => node(page),
        Content::Members(members) => {
            let member =
                |(node, seen): (NodeId, Stamp)| SeenNode { node: node.to_string(), seen: unix(seen) };
            RecordContent::Members(members.into_iter().map(member).collect())
        }
        Content::Providers(providers) => {
            let peers = network.peers();
            let holding = |(holder, said): (Holder, Stamp)| {
                let peer = peers.get(&holder.node);
                Holding {
                    node: holder.node.to_string(),
                    number: holder.cache,
                    cache: peer.and_then(|peer| Some(peer.cache(holder.cache)?.name.clone())),
                    said: unix(said),
                }
            };
            RecordContent::Providers(providers.into_iter().map(holding).collect())
        }
        Content::Note(note) => RecordContent::Note { text: note.text, written: note.written.map_or(0, unix) },
    }
}

fn node(page: NodePage) -> RecordContent {
    let NodePage { pages, description, .. } = page;
    let description = description.expect("a page that was read has a description");
    RecordContent::Node {
        url: description.url.to_string(),
        said: unix(description.said),
        load: description.load,
        free: description.free,
        caches: description.caches.into_iter().map(|cache| cache.name).collect(),
        pages,
    }
}

fn unix(stamp: Stamp) -> i64 {
    i64::from(stamp.0)
}
