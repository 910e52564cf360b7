use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, KeyInfo, StorageSummary};

/// Lists all caches: those that are served first, then those that are disabled or no longer in the config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListCaches {}

impl Endpoint for ListCaches {
    type Reply = Vec<CacheSummary>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/caches";
}

/// Describes one cache that is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowCache {
    /// The name of the cache.
    pub cache: String,
}

impl Endpoint for ShowCache {
    type Reply = CacheInfo;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/caches/{cache}";
}

/// A cache, in the few figures that a list of caches shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheSummary {
    /// The name of the cache.
    pub name: String,
    /// Whether the cache is served. A cache that was removed from the config is kept, but disabled.
    pub enabled: bool,
    /// Who may read the cache.
    pub access: Access,
    /// The number of store paths in the cache.
    pub paths: u64,
    /// The bytes of the compressed files in the cache. A file that several paths share counts once.
    pub file_bytes: u64,
    /// The bytes of the uncompressed NARs of all paths.
    pub nar_bytes: u64,
    /// The URL that Nix takes as a substituter.
    pub url: String,
    /// The published keys as `NAME:BASE64`, for `trusted-public-keys`.
    pub public_keys: Vec<String>,
    /// Who signs paths.
    pub signing: Signing,
    /// The number of paths that the last unattended collection did not remove because they were too many; 0 if it removed all
    /// that were due.
    #[serde(default)]
    pub gc_held_back: u64,
    /// The further copies of its NAR files; `None` if there are none, and are to be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<CopiesSummary>,
}

/// The further copies of the NAR files of a cache: those beside the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiesSummary {
    /// The number of storages that each NAR is to lie on (`copies`).
    pub wanted: u32,
    /// The number of sound further copies.
    pub there: u64,
    /// Their bytes.
    pub there_bytes: u64,
    /// The number of copies that are to be made.
    pub missing: u64,
    /// Their bytes.
    pub missing_bytes: u64,
    /// The number of those of NARs that have only one sound copy.
    pub exposed: u64,
    /// The number of those that are damaged and to be replaced.
    pub damaged: u64,
    /// The number of copies that are too many and to be removed.
    pub leaving: u64,
    /// Their bytes.
    pub leaving_bytes: u64,
    /// The seconds that making the missing copies takes at the present rate; `None` if none could be made lately.
    pub seconds_left: Option<u64>,
}

/// Everything about one cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheInfo {
    /// The figures that a list of caches shows. In JSON these fields are at the same level as the others.
    #[serde(flatten)]
    pub summary: CacheSummary,
    /// The priority among substituters. Nix asks the one with the lowest number first.
    pub priority: u32,
    /// The compression that the cache asks its clients for: `zstd` or `xz`.
    pub compression: String,
    /// The days for which an unused path is kept; `None` keeps it forever.
    pub retention_days: Option<u32>,
    /// The most bytes that the cache may have on all its storages (`max-size`); `None` for no limit.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// Whether the cache removes what was not used for the longest time when it is full (`when-full: collect`).
    #[serde(default)]
    pub collects_when_full: bool,
    /// The port that serves only this cache.
    pub port: Option<u16>,
    /// The storages of the cache, in configured order.
    pub storages: Vec<StorageSummary>,
    /// The signing keys, including retired ones.
    pub keys: Vec<KeyInfo>,
    /// The URLs of the caches from which missing paths are fetched.
    pub upstreams: Vec<String>,
    /// The steps that set up a client.
    pub setup: Vec<SetupStep>,
}

/// Who may read a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Everyone.
    Public,
    /// Holders of a token.
    Private,
}

/// Who signs the paths of a cache, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signing {
    /// The server, until a client registers a key.
    Auto,
    /// Always the server.
    Server,
    /// Always the clients.
    Client,
}

/// A step that sets up a client, ready to copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupStep {
    /// What the step achieves, such as `Push with cachix`.
    pub title: String,
    /// Commands, or lines of a config file, in order.
    pub lines: Vec<String>,
}
