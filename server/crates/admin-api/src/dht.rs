use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Since};

/// Describes this daemon's node of the DHT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowDht {}

impl Endpoint for ShowDht {
    type Reply = DhtInfo;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/dht";
    const SINCE: Since = Since::Workers;
}

/// Reads a record of the DHT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRecord {
    /// `n:NODE`, `m:SHARD`, `p:HASH` or `x:NAME`.
    pub key: String,
}

impl Endpoint for ReadRecord {
    type Reply = DhtRecord;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/dht/record";
}

/// Writes a note into the DHT for other nodes to read. The reply is the record as it can be read afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteNote {
    /// `x:NAME`.
    pub key: String,
    /// The content of the note.
    pub text: String,
}

impl Endpoint for WriteNote {
    type Reply = DhtRecord;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/dht/notes";
}

/// This daemon's node of the DHT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhtInfo {
    /// The id of this node in the network.
    pub node: String,
    /// The UDP address that the node listens on.
    pub address: String,
    /// Why the node does not listen there at the moment. Left out if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The address at which other nodes see this one, if any has reported it.
    pub public_address: Option<String>,
    /// The addresses of other nodes that answer.
    pub nodes: Vec<String>,
    /// The estimated number of nodes.
    pub estimated_size: u64,
    /// The progress of announcing paths.
    pub announcing: Announcing,
}

/// The progress of announcing paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcing {
    /// The paths that are waiting to be announced.
    pub waiting: u64,
    /// The paths with which the last round over all of them began.
    pub round: u64,
    /// The records that were written since the daemon started.
    pub written: u64,
    /// The records that could not be written. The next round retries them.
    pub failed: u64,
}

/// A record of the DHT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhtRecord {
    /// The key, as in [`ReadRecord`].
    pub key: String,
    /// The decoded content.
    pub content: RecordContent,
}

/// The content of a record of the DHT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordContent {
    /// What a node reports about itself, or a part of that.
    Node {
        /// The URL of the node.
        url: String,
        /// When the node wrote the record.
        said: i64,
        /// The load: threads that want to run per thread that can, in percent.
        load: u16,
        /// The most bytes that the node can store in one place.
        free: u64,
        /// The names of its public caches.
        caches: Vec<String>,
        /// The number of records that the report takes: `n:NODE`, `n:NODE:1`, and so on.
        pages: u8,
    },
    /// The nodes of the network.
    Members(Vec<SeenNode>),
    /// The caches that hold a store path.
    Providers(Vec<Holding>),
    /// A note.
    Note {
        /// The content of the note.
        text: String,
        /// When the note was written.
        written: i64,
    },
}

/// A node, and when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenNode {
    /// The id of the node.
    pub node: String,
    /// When the node last reported that it is there.
    pub seen: i64,
}

/// A cache that holds a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The id of the node.
    pub node: String,
    /// The number of the cache on that node.
    pub number: u32,
    /// The name of the cache; `None` if the node is unknown, or is this one.
    pub cache: Option<String>,
    /// When the node last announced the path.
    pub said: i64,
}
