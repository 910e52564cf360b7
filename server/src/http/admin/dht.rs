//! The DHT: the state of this node, and single records.

use admin_api::{
    Announcing, ApiError, DhtInfo, DhtRecord, ErrorCode, Holding, ReadRecord, RecordContent, SeenNode,
    ShowDht, WriteNote,
};
use peer_network::record::{Holder, Name, NodePage, Note};
use peer_network::{Content, DhtError, Network, NodeId, Stamp};

use super::Answer;
use super::error::failure;
use super::peers::network;
use crate::http::state::State;

const KEYS: &str = "`n:NODE` is a node, `m:0` to `m:3` list nodes, `p:HASH` lists the caches with a store path, `x:NAME` is a note";

pub(super) async fn show(state: &State, _: ShowDht) -> Answer<DhtInfo> {
    let network = network(state)?;
    let (dht, announcing) = (network.dht_status().await, network.announcing());
    Ok(DhtInfo {
        node: network.id().to_string(),
        address: dht.address.to_string(),
        problem: dht.problem,
        public_address: dht.public_address.map(|address| address.to_string()),
        nodes: dht.nodes,
        estimated_size: dht.estimated_size as u64,
        announcing: Announcing {
            waiting: announcing.waiting,
            round: announcing.round,
            written: announcing.written,
            failed: announcing.failed,
        },
    })
}

pub(super) async fn read(state: &State, ReadRecord { key }: ReadRecord) -> Answer<DhtRecord> {
    let network = network(state)?;
    let name = Name::parse(&key).ok_or_else(|| malformed(&key))?;
    let absent = || failure(ErrorCode::NotFound, format!("the DHT has no record `{key}`"), None);
    let content = network.read_record(&name).await.ok_or_else(absent)?;
    Ok(DhtRecord { content: shown(network, content), key })
}

pub(super) async fn write(state: &State, WriteNote { key, text }: WriteNote) -> Answer<DhtRecord> {
    let network = network(state)?;
    let name = match Name::parse(&key).ok_or_else(|| malformed(&key))? {
        Name::Note(name) => name,
        Name::Node(..) | Name::Members(_) | Name::Providers(_) => {
            let hint = Some("write a note instead, under a key such as `x:hello`");
            let message = format!("only the nodes that `{key}` is about can write it");
            return Err(failure(ErrorCode::Invalid, message, hint));
        }
    };
    if text.len() > Note::LONGEST {
        let message = format!("the note has {} bytes; the limit is {}", text.len(), Note::LONGEST);
        return Err(failure(ErrorCode::Invalid, message, None));
    }
    network.write_note(name, &text).await.map_err(|error| refusal(&error))?;
    tracing::info!(key, "wrote a note to the DHT");
    read(state, ReadRecord { key }).await
}

fn malformed(key: &str) -> ApiError {
    failure(ErrorCode::Invalid, format!("`{key}` is not the key of a record"), Some(KEYS))
}

fn refusal(error: &DhtError) -> ApiError {
    let hint = Some("`cachectl dht status` shows the known nodes");
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
