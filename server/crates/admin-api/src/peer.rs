use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Since};

/// Lists the other nodes of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPeers {}

impl Endpoint for ListPeers {
    type Reply = Vec<PeerInfo>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/peers";
    const SINCE: Since = Since::Workers;
}

/// Checks whether another node answers. A node that does not is a [`Ping`] with an error, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingPeer {
    /// The whole id of the node.
    pub node: String,
}

impl Endpoint for PingPeer {
    type Reply = Ping;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/peers/{node}/ping";
}

/// Another node of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// The id of the node.
    pub node: String,
    /// The URL of the node.
    pub url: String,
    /// The names of its public caches.
    pub caches: Vec<String>,
    /// When the node last announced itself to the network.
    pub last_seen: i64,
    /// The load that the node reported: threads that want to run per thread that can, in percent.
    pub load: u16,
    /// The most bytes that the node can store in one place, as it reported; 0 if it does not know.
    pub free: u64,
    /// The moving average of the time that the node takes to answer, in microseconds; `None` if it was never asked.
    pub latency: Option<u64>,
    /// The seconds for which no more requests go to the node, after repeated failures or bad data: its circuit breaker
    /// is open.
    #[serde(rename = "shunned_for")]
    pub breaker_open_for: Option<u64>,
    /// The seconds since the node last sent its inventory; `None` if it never did.
    #[serde(rename = "digest_age")]
    pub inventory_age: Option<u64>,
}

/// The result of a [`PingPeer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// The id of the node.
    pub node: String,
    /// The URL that was asked.
    pub url: String,
    /// The time until the answer, in microseconds; `None` if there was none.
    pub latency: Option<u64>,
    /// Why there was no answer, for a person.
    pub error: Option<String>,
}
