use serde::{Deserialize, Serialize};

/// Another node of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Names the node.
    pub node: String,
    /// Where it answers.
    pub url: String,
    /// Its public caches.
    pub caches: Vec<String>,
    /// When it last introduced itself to the network, in Unix seconds.
    pub last_seen: i64,
    /// How busy it said to be: how many threads want to run for each that can, in percent.
    pub load: u16,
    /// For how many bytes it said to have room in one place; 0 if it does not know.
    pub free: u64,
    /// How long it takes to answer, recent answers counting more, in microseconds; `None` if it was never asked.
    pub latency: Option<u64>,
    /// For how many seconds more it is left alone, after it failed again and again or sent something wrong.
    pub shunned_for: Option<u64>,
    /// How many seconds ago it last told what it holds; `None` if it never did.
    pub digest_age: Option<u64>,
}

/// What became of asking another node for a sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// The node.
    pub node: String,
    /// Where it was asked.
    pub url: String,
    /// How long it took to answer, in microseconds; `None` if it did not.
    pub latency: Option<u64>,
    /// Why it did not, for a person.
    pub error: Option<String>,
}

/// How the node of the DHT is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhtInfo {
    /// Names this node in the network.
    pub node: String,
    /// Where it listens, on UDP.
    pub address: String,
    /// Why it does not listen there at the moment, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How other nodes see it, where they have told.
    pub public_address: Option<String>,
    /// The addresses of other nodes that answer.
    pub nodes: Vec<String>,
    /// About how many nodes there are.
    pub estimated_size: u64,
    /// What is being announced.
    pub announcing: Announcing,
}

/// How far announcing has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcing {
    /// Paths that wait to be announced.
    pub waiting: u64,
    /// Paths that the last round over all of them began with.
    pub round: u64,
    /// Records written since the start.
    pub written: u64,
    /// Records that could not be written; the next round tries again.
    pub failed: u64,
}

/// Which record of the DHT to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRecord {
    /// `n:NODE`, `m:SHARD`, `p:HASH` or `x:NAME`.
    pub key: String,
}

/// A note for other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteNote {
    /// `x:NAME`.
    pub key: String,
    /// What it is to say.
    pub text: String,
}

/// A record of the DHT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhtRecord {
    /// Its key.
    pub key: String,
    /// What it says.
    pub content: RecordContent,
}

/// What a record of the DHT says. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordContent {
    /// What a node says about itself, or a part of that.
    Node {
        /// Where it answers.
        url: String,
        /// When it said so.
        said: i64,
        /// How busy it is, in percent.
        load: u16,
        /// For how many bytes it has room in one place.
        free: u64,
        /// Its public caches.
        caches: Vec<String>,
        /// In how many records it says so: `n:NODE`, `n:NODE:1`, and so on.
        pages: u8,
    },
    /// Which nodes there are.
    Members(Vec<SeenNode>),
    /// Who has a store path.
    Providers(Vec<Holding>),
    /// What somebody left here.
    Note {
        /// The text.
        text: String,
        /// When it was written.
        written: i64,
    },
}

/// A node, and when it was last there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenNode {
    /// Names the node.
    pub node: String,
    /// When it last said that it is there.
    pub seen: i64,
}

/// A cache that has a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Names the node.
    pub node: String,
    /// Number of the cache there.
    pub number: u32,
    /// Its name; `None` if the node is not known, or is this one.
    pub cache: Option<String>,
    /// When the node last said so.
    pub said: i64,
}
