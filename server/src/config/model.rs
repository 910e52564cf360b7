//! The configuration in types: every value is checked, every default filled in, every path absolute.
//!
//! [`super::keys`] binds each field to its key. `Default` makes the blank that the decoder fills in; it is not the
//! configuration of an empty file.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use nix_formats::PublicKey;
use url::Url;

use super::{
    Access, CacheName, DatabaseUrl, KeySource, LogFormat, Name, PreferredCompression, SecretError,
    SecretSource, SigningMode, StorageType, Strategy, keys,
};

/// A whole configuration, ready to run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// The file it was read from; `None` for the built-in one.
    pub source: Option<PathBuf>,
    /// What concerns the daemon as a whole.
    pub server: ServerConfig,
    /// The caches in the order of the file. Names are unique.
    pub caches: Vec<CacheConfig>,
    /// Deploy workspaces. Names are unique, and each cache exists.
    pub workspaces: Vec<WorkspaceConfig>,
    /// Deploy agents. Names are unique, and each workspace exists.
    pub agents: Vec<AgentConfig>,
}

/// `server`: what concerns the daemon as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerConfig {
    /// Where the catalog is.
    pub database: DatabaseUrl,
    /// File with the password for a PostgreSQL database, which its URL has none of then.
    pub database_password_file: Option<PathBuf>,
    /// Address or host name to listen on.
    pub hostname: String,
    /// How clients reach this server from outside. Its host is the `HOST` of `NAME.HOST`; it has no path.
    pub public_url: Option<Url>,
    /// How the daemons that share the catalog reach this one, where [`ServerConfig::own_url`] would be wrong.
    pub node_url: Option<Url>,
    /// Where everything lives that the daemon makes for itself: catalog, keys, the default storage.
    pub state_dir: PathBuf,
    /// The Unix socket that `cachectl` talks to.
    pub admin_socket: PathBuf,
    /// Permission bits of that socket.
    pub admin_socket_mode: u32,
    /// Group of that socket, by name or number; that of the daemon when absent.
    pub admin_socket_group: Option<String>,
    /// Port of the API, and of every cache by its host name.
    pub server_port: u16,
    /// Second port of the deploy sockets.
    pub deploy_port: u16,
    /// No DHT: neither announce nor look up on other nodes.
    pub standalone: bool,
    /// UDP port of the DHT.
    pub dht_port: u16,
    /// Address of the DHT; by default that of `hostname`, see [`ServerConfig::dht_address`].
    pub dht_bind_address: Option<Ipv4Addr>,
    /// How other nodes of the DHT reach this one, where they cannot tell by themselves.
    pub dht_public_address: Option<Ipv4Addr>,
    /// Nodes to enter the DHT through. Empty on the first node of a network.
    pub dht_bootstrap_hosts: Vec<String>,
    /// UDP port of the bootstrap hosts.
    pub dht_bootstrap_port: u16,
    /// Files with the key that the nodes of one network share, and with its predecessors while it is being changed;
    /// derived from `key` when there is none.
    pub dht_network_key_files: Vec<PathBuf>,
    /// Most records that the DHT keeps for all nodes.
    pub dht_max_records: u32,
    /// Asking others for what is not here.
    pub federation: FederationConfig,
    /// The key that tokens and part URLs are signed with.
    pub key: KeySource,
    /// Days that an unused path is kept, for caches that do not say.
    pub default_retention: u32,
    /// Port of the first enabled cache that names none. Already handed out in [`CacheConfig::port`].
    pub default_port: u16,
    /// Type of the storages that name none. Already applied.
    pub default_storage: StorageType,
    /// Strategy of the caches that name none. Already applied.
    pub default_storage_strategy: Strategy,
    /// What is logged, and how.
    pub log: LogConfig,
    /// How long running transfers may go on after the signal to stop.
    pub drain_timeout: Duration,
    /// Age at which an unfinished upload is thrown away.
    pub upload_expiry: Duration,
    /// Pause between two collections of garbage; `None` for none at all.
    pub gc_interval: Option<Duration>,
    /// How long everything is kept after it was made or used, whatever else is asked for.
    pub gc_grace: Duration,
    /// How long a deployment may take from its start; then it has failed.
    pub deploy_timeout: Duration,
    /// How long a deployment waits for its agent to begin; then it is cancelled.
    pub deploy_pending_timeout: Duration,
    /// Client connections at a time, all listeners together.
    pub max_connections: u32,
    /// Bytes of memory for rendered narinfo replies.
    pub narinfo_memory: u64,
}

impl ServerConfig {
    /// The URL to open the database with: `database`, with the password from its file. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or holds no password.
    pub fn open_database(&self) -> Result<DatabaseUrl, SecretError> {
        match &self.database_password_file {
            Some(file) => Ok(self.database.with_password(&SecretSource::File(file.clone()).resolve()?)),
            None => Ok(self.database.clone()),
        }
    }

    /// The settings in force once a daemon that runs with these has read a file with the `wanted` ones again. What needs a
    /// restart stays as it is.
    pub fn after_reload(&self, wanted: &Self) -> Self {
        let mut settings = self.clone();
        keys::SERVER.apply_reload(&mut settings, wanted);
        settings
    }

    /// The address that the DHT listens on: as far as `hostname` says so, that of the other listeners.
    pub fn dht_address(&self) -> Ipv4Addr {
        let of_hostname = match self.hostname.as_str() {
            "localhost" => Ipv4Addr::LOCALHOST,
            hostname => hostname.parse().unwrap_or(Ipv4Addr::UNSPECIFIED),
        };
        self.dht_bind_address.unwrap_or(of_hostname)
    }
}

/// `server.federation`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FederationConfig {
    /// How long a reader waits for what others have before it is told that the path is not here.
    pub lookup_timeout: Duration,
}

/// One entry of `caches[].upstreams`. `Display` is its text in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where the binary cache is.
    pub url: Url,
    /// Keys that it signs with.
    pub public_keys: Vec<PublicKey>,
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)?;
        self.public_keys.iter().try_for_each(|key| write!(f, " {key}"))
    }
}

/// `server.log`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// Directives of `tracing_subscriber::EnvFilter`, such as `info` or `info,cache_server=debug`.
    pub filter: String,
    /// Shape of a line.
    pub format: LogFormat,
}

/// One entry of `caches`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CacheConfig {
    /// Name in URLs and host names.
    pub name: CacheName,
    /// Whether it is served at all. A disabled cache keeps its data.
    pub enabled: bool,
    /// Who may read.
    pub access: Access,
    /// Days that an unused path is kept.
    pub retention: u32,
    /// A port of its own; without one the cache is reachable by host name and by path.
    pub port: Option<u16>,
    /// `Priority` of `nix-cache-info`: Nix asks substituters with lower numbers first.
    pub priority: u32,
    /// What the cache asks pushing clients to compress with.
    pub compression: PreferredCompression,
    /// Who signs the paths.
    pub signing: SigningMode,
    /// Nix secret key files to sign with instead of a generated key, the first under the primary name.
    pub signing_key_files: Vec<PathBuf>,
    /// Keys whose signatures are kept beside ours.
    pub trusted_public_keys: Vec<PublicKey>,
    /// Binary caches to ask for what is missing here, in this order.
    pub upstreams: Vec<Upstream>,
    /// What becomes of what was found elsewhere.
    pub federation: CacheFederation,
    /// How a storage is chosen for a new file.
    pub storage_strategy: Strategy,
    /// Where the files live, at least one. Names are unique within the cache.
    pub storages: Vec<StorageConfig>,
}

/// `caches[].federation`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheFederation {
    /// Whether what was found elsewhere is kept here.
    pub keep: bool,
    /// Bytes of the cache above which the least recently used paths go, for one that keeps what it found.
    pub keep_max_size: Option<u64>,
}

/// One entry of `caches[].storages`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StorageConfig {
    /// Name within the cache. The catalog knows the storage by it.
    pub name: Name,
    /// What kind of place it is, and where.
    pub kind: StorageKind,
    /// Percentage of the bytes, for [`Strategy::Split`]. The shares of a cache sum to 100.
    pub split: Option<u8>,
    /// Used bytes at which the storage counts as full.
    pub max_size: Option<u64>,
    /// Still read, no longer written.
    pub draining: bool,
}

/// A kind of storage with what it needs.
#[derive(Debug, Clone, PartialEq)]
pub enum StorageKind {
    /// A directory.
    Local {
        /// Absolute path; the cache lives in `<root>/<cache>`.
        root: PathBuf,
    },
    /// A bucket of an S3-compatible service.
    S3(Box<S3Config>),
}

impl StorageKind {
    /// The type as it is written in the file.
    pub fn storage_type(&self) -> StorageType {
        match self {
            Self::Local { .. } => StorageType::Local,
            Self::S3(_) => StorageType::S3,
        }
    }

    /// The bucket, if this is one.
    pub(super) fn s3(&self) -> Option<&S3Config> {
        match self {
            Self::Local { .. } => None,
            Self::S3(s3) => Some(s3),
        }
    }

    /// The same, to change it.
    pub(super) fn s3_mut(&mut self) -> Option<&mut S3Config> {
        match self {
            Self::Local { .. } => None,
            Self::S3(s3) => Some(s3),
        }
    }
}

impl Default for StorageKind {
    fn default() -> Self {
        Self::Local { root: PathBuf::new() }
    }
}

/// A bucket of an S3-compatible service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct S3Config {
    /// Key prefix without slashes at its ends; the cache lives under `<root>/<cache>/`. May be empty.
    pub root: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Region, also where the service does not care for one.
    pub region: String,
    /// Base URL of the service; AWS's own for the region when absent.
    pub endpoint: Option<Url>,
    /// Bucket in the path instead of the host name.
    pub force_path_style: bool,
    /// Send readers of NARs to the service itself, with a link that is good for a while.
    pub redirect: bool,
    /// Access key id. Absent together with `secret_key`: the AWS credential chain is asked.
    pub access_key: Option<SecretSource>,
    /// Secret access key.
    pub secret_key: Option<SecretSource>,
}

/// One entry of `workspaces`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkspaceConfig {
    /// Name of the workspace.
    pub name: Name,
    /// The cache that its agents fetch from.
    pub cache: CacheName,
}

/// One entry of `agents`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentConfig {
    /// Name of the agent, as a deploy specification calls it.
    pub name: Name,
    /// The workspace that it belongs to.
    pub workspace: Name,
}
