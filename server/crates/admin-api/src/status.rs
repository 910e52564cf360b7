use http::Method;
use serde::{Deserialize, Serialize};

use crate::{CacheSummary, Endpoint, StorageSummary, UpstreamInfo};

/// Describes the daemon, its listeners, caches and storages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowStatus {}

impl Endpoint for ShowStatus {
    type Reply = Status;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/status";
}

/// The state of the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the daemon, as its package states it.
    pub version: String,
    /// The [`API_VERSION`](crate::API_VERSION) that the daemon speaks. Every version of the API has this field here.
    pub api_version: u32,
    /// When the daemon started.
    pub started_at: i64,
    /// How long the daemon has run, by a clock that does not jump.
    pub uptime_seconds: u64,
    /// The config file in use; `None` if the daemon runs on its built-in defaults.
    pub config: Option<String>,
    /// The directory with the daemon's keys and, unless configured elsewhere, its catalog.
    pub state_dir: String,
    /// Why nothing can be recorded; pushes are refused meanwhile. Left out while the catalog can be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_failure: Option<CatalogFailure>,
    /// The sockets that the daemon listens on, or would listen on if there were no error.
    pub listeners: Vec<Listener>,
    /// The TLS certificates of the ports. Left out if all of them speak plain HTTP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Certificate>,
    /// Every cache in the catalog, including those that are disabled or no longer in the config.
    pub caches: Vec<CacheSummary>,
    /// Every storage of every cache.
    pub storages: Vec<StorageSummary>,
    /// Every upstream of every cache that is served.
    #[serde(default)]
    pub upstreams: Vec<UpstreamInfo>,
}

/// A catalog that can only be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogFailure {
    /// When the first write failed.
    pub since: i64,
    /// Why the last write failed, and what to do about it.
    pub reason: String,
}

/// A socket that the daemon listens on, or should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// What the socket serves.
    pub purpose: Purpose,
    /// `IP:PORT`, or the absolute file name of a Unix socket.
    pub address: String,
    /// The cache, if the socket serves only one.
    pub cache: Option<String>,
    /// Why the daemon does not listen there although the config asks for it. The daemon keeps trying. Left out if there
    /// is no error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A TLS certificate that is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The file that it comes from.
    pub file: String,
    /// The cache that it was given for; `None` for the whole server.
    pub cache: Option<String>,
    /// The host names in it.
    pub names: Vec<String>,
    /// When it ends.
    pub ends: i64,
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The API of all caches (`server-port`).
    Api,
    /// One cache (its own `port`).
    Cache,
    /// Deploy agents (`deploy-port`).
    Deploy,
    /// This API.
    Admin,
    /// Prometheus (`metrics-address`).
    Metrics,
}
