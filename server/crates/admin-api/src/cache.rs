use serde::{Deserialize, Serialize};

use crate::{KeyInfo, StorageSummary};

/// A cache, in the few figures that a list of caches shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheSummary {
    /// The name of the cache.
    pub name: String,
    /// Whether it is served. A cache that vanished from the config is kept but disabled.
    pub enabled: bool,
    /// Who may read it.
    pub access: Access,
    /// How many store paths it holds.
    pub paths: u64,
    /// Bytes of the compressed files it stores; a file shared by several paths counts once.
    pub file_bytes: u64,
    /// Bytes of the uncompressed NARs of all its paths.
    pub nar_bytes: u64,
    /// The URL to give to Nix as a substituter.
    pub url: String,
    /// The published keys as `NAME:BASE64`, for `trusted-public-keys`.
    pub public_keys: Vec<String>,
    /// Who signs.
    pub signing: Signing,
}

/// All about one cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheInfo {
    /// What the list of caches shows; its fields stand beside the others in the JSON.
    #[serde(flatten)]
    pub summary: CacheSummary,
    /// Among substituters Nix asks the one with the lowest number first.
    pub priority: u32,
    /// How the cache wants NARs compressed: `zstd` or `xz`.
    pub compression: String,
    /// Days for which an unused path is kept; `None` keeps it forever.
    pub retention_days: Option<u32>,
    /// The port that the cache has to itself.
    pub port: Option<u16>,
    /// Where the cache keeps its NARs, in configured order.
    pub storages: Vec<StorageSummary>,
    /// Its signing keys, retired ones included.
    pub keys: Vec<KeyInfo>,
    /// URLs of the caches that are asked for what this one lacks.
    pub upstreams: Vec<String>,
    /// What to type on a client to use the cache.
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
    /// The server, always.
    Server,
    /// The clients, always.
    Client,
}

/// One thing to set up on a client, ready to copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupStep {
    /// What it achieves, such as `Push with cachix`.
    pub title: String,
    /// Commands or lines of a config file, in order.
    pub lines: Vec<String>,
}
