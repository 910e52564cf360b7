//! The configuration in types: every value is checked, every default filled in, every path absolute.
//!
//! [`super::keys`] binds each field to its key. `Default` makes the blank that the decoder fills in; it is not the
//! configuration of an empty file.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use nix_formats::PublicKey;
use url::Url;

use crate::limits::client_address::Network;
use crate::tls;

use super::{
    Access, CacheName, Closures, Condition, CopiesBeforeAnswer, DatabaseUrl, FederationTrust, KeySource,
    LogFormat, Name, OidcAlgorithm, PreferredCompression, RulePermission, SecretError, SecretSource,
    SigningMode, StorageType, Strategy, WhenFull, keys,
};

/// A whole configuration, ready to run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// The file; `None` for the built-in configuration.
    pub source: Option<PathBuf>,
    /// Settings of the daemon as a whole.
    pub server: ServerConfig,
    /// The caches in the order of the file. Names are unique.
    pub caches: Vec<CacheConfig>,
    /// Deploy workspaces. Names are unique, and each cache exists.
    pub workspaces: Vec<WorkspaceConfig>,
    /// Deploy agents. Names are unique, and each workspace exists.
    pub agents: Vec<AgentConfig>,
    /// OpenID providers. Names and issuers are unique.
    pub oidc: Vec<OidcProvider>,
    /// What certificates of clients permit.
    pub client_certificates: Vec<AccessRule>,
}

/// `server`: the settings of the daemon as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerConfig {
    /// Where the catalog is.
    pub database: DatabaseUrl,
    /// File with the password for a PostgreSQL database. Its URL has no password then.
    pub database_password_file: Option<PathBuf>,
    /// Address or host name to listen on.
    pub hostname: String,
    /// How clients reach this server from outside. Its host is the `HOST` of `NAME.HOST`; it has no path.
    pub public_url: Option<Url>,
    /// How the daemons that share the catalog reach this one, if `origin::node_url` would be wrong.
    pub node_url: Option<Url>,
    /// The directory of everything that the daemon makes: catalog, keys, the default storage.
    pub state_dir: PathBuf,
    /// The Unix socket that `cachectl` talks to.
    pub admin_socket: PathBuf,
    /// Permission bits of that socket.
    pub admin_socket_mode: u32,
    /// Group of that socket, by name or number; the group of the daemon if absent.
    pub admin_socket_group: Option<String>,
    /// Port of the API, and of every cache by its host name.
    pub server_port: u16,
    /// Second port of the deploy sockets.
    pub deploy_port: u16,
    /// The certificate of its ports, if they speak TLS.
    pub tls: ServerTls,
    /// Files with the authorities that count for HTTPS to others, beside those of the system.
    pub trusted_authorities: Vec<PathBuf>,
    /// Whether the daemon runs without the DHT: it neither announces its paths nor looks up paths on other nodes.
    pub standalone: bool,
    /// UDP port of the DHT.
    pub dht_port: u16,
    /// Address of the DHT; by default that of `hostname`, see [`ServerConfig::dht_address`].
    pub dht_bind_address: Option<Ipv4Addr>,
    /// Address under which other nodes of the DHT reach this one, if they cannot tell by themselves.
    pub dht_public_address: Option<Ipv4Addr>,
    /// Nodes through which this one enters the DHT. Empty on the first node of a network.
    pub dht_bootstrap_hosts: Vec<String>,
    /// UDP port of the bootstrap hosts.
    pub dht_bootstrap_port: u16,
    /// Files with the key that the nodes of one network share, and with its predecessors while it is being replaced. If
    /// empty, the key is derived from `key`.
    pub dht_network_key_files: Vec<PathBuf>,
    /// Largest number of records that the DHT keeps for all nodes.
    pub dht_max_records: u32,
    /// Lookups of missing paths on other nodes and upstreams.
    pub federation: FederationConfig,
    /// The key that tokens and part URLs are signed with.
    pub key: KeySource,
    /// Days that an unused path is kept, in caches without a `retention`. Already applied to them.
    pub default_retention: u32,
    /// Port of the first enabled cache without a `port`. Already applied to [`CacheConfig::port`].
    pub default_port: u16,
    /// Type of the storages without a `type`. Already applied to them.
    pub default_storage: StorageType,
    /// Strategy of the caches without a `storage-strategy`. Already applied to them.
    pub default_storage_strategy: Strategy,
    /// Filter and format of the log.
    pub log: LogConfig,
    /// How long running transfers may continue after the signal to stop.
    pub drain_timeout: Duration,
    /// Age at which an unfinished upload is discarded.
    pub upload_expiry: Duration,
    /// Pause between two garbage collections; `None` for no collections.
    pub gc_interval: Option<Duration>,
    /// Time in which every file is scrubbed once, if at all.
    pub scrub_interval: Option<Duration>,
    /// How long every path is kept after it was made or used, whatever a collection is told.
    pub gc_grace: Duration,
    /// Percentage of the paths of a cache that a collection may remove if no operator asked for it.
    pub gc_max_share: u8,
    /// How long removed paths stay in the trash; `None` to remove their files at once.
    pub trash: Option<Duration>,
    /// How long a deployment may take from its start before it counts as failed.
    pub deploy_timeout: Duration,
    /// How long a deployment waits for its agent to begin before it is cancelled.
    pub deploy_pending_timeout: Duration,
    /// Whether a name that no cache has is answered like that of a private cache.
    pub hide_private_caches: bool,
    /// Whether there are pages for browsers.
    pub web_pages: bool,
    /// Largest number of client connections at a time, over all listeners.
    pub max_connections: u32,
    /// Bytes of memory for rendered narinfo replies.
    pub narinfo_memory: u64,
    /// The file of the audit log.
    pub audit_log: Option<PathBuf>,
    /// Where Prometheus finds the metrics, if anywhere.
    pub metrics_address: Option<SocketAddr>,
    /// The token that Prometheus has to present.
    pub metrics_token: Option<SecretSource>,
    /// Proxies whose word counts for who a client is, besides those on this machine.
    pub trusted_proxies: Vec<Network>,
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

    /// The settings of a daemon that runs with these, after a reload of a file with the `wanted` ones. Values that need a
    /// restart stay as they are.
    pub fn after_reload(&self, wanted: &Self) -> Self {
        let mut settings = self.clone();
        keys::SERVER.apply_reload(&mut settings, wanted);
        settings
    }

    /// The address that the DHT listens on: by default that of the other listeners, as far as `hostname` tells.
    pub fn dht_address(&self) -> Ipv4Addr {
        let of_hostname = match self.hostname.as_str() {
            "localhost" => Ipv4Addr::LOCALHOST,
            hostname => hostname.parse().unwrap_or(Ipv4Addr::UNSPECIFIED),
        };
        self.dht_bind_address.unwrap_or(of_hostname)
    }
}

/// `server.tls`. Certificate and key are both there or both absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// The file of the certificate.
    pub certificate: Option<PathBuf>,
    /// The file of its key.
    pub key: Option<PathBuf>,
    /// Files with the authorities of client certificates.
    pub client_authorities: Vec<PathBuf>,
}

/// `caches[].tls`. Both are there or both are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheTls {
    /// The file of the certificate.
    pub certificate: Option<PathBuf>,
    /// The file of its key.
    pub key: Option<PathBuf>,
}

impl ServerTls {
    /// Both files, if the ports of the server speak TLS.
    pub fn files(&self) -> Option<tls::Files> {
        Some(tls::Files { certificate: self.certificate.clone()?, key: self.key.clone()? })
    }

    /// How URLs that lead to a port of the server begin.
    pub fn scheme(&self) -> &'static str {
        if self.certificate.is_some() { "https" } else { "http" }
    }
}

impl CacheTls {
    /// Both files, if the cache has a certificate.
    pub fn files(&self) -> Option<tls::Files> {
        Some(tls::Files { certificate: self.certificate.clone()?, key: self.key.clone()? })
    }
}

impl Config {
    /// All files that TLS of the ports is made from.
    pub fn tls_sources(&self) -> tls::Sources {
        let of_cache = |cache: &CacheConfig| Some((cache.name.to_string(), cache.port, cache.tls.files()?));
        tls::Sources {
            server: self.server.tls.files(),
            client_authorities: self.server.tls.client_authorities.clone(),
            caches: self.caches.iter().filter(|cache| cache.enabled).filter_map(of_cache).collect(),
        }
    }
}

/// `server.federation`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FederationConfig {
    /// How long a reader waits for the answers of other nodes and upstreams.
    pub lookup_timeout: Duration,
    /// Whether nodes may be on this machine and on its link.
    pub local_addresses: bool,
    /// How often it is looked whether upstreams still have what pushes and closures rely on.
    pub watch_interval: Duration,
}

/// One entry of `caches[].upstreams`. `Display` is its text in the file, without what only a mapping can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// URL of the binary cache: `http`, `https` or `s3`.
    pub url: Url,
    /// Keys that it signs with.
    pub public_keys: Vec<PublicKey>,
    /// How long it may take to say whether it has a path.
    pub lookup_timeout: Duration,
    /// How long it is remembered that it does not have a path.
    pub negative_ttl: Duration,
    /// What it wants to see.
    pub credentials: UpstreamCredentials,
}

impl Upstream {
    /// The default of [`lookup_timeout`](Self::lookup_timeout). Less than a lookup as a whole may take, so that an upstream that
    /// hangs is noticed and left alone.
    pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(4);
    /// The default of [`negative_ttl`](Self::negative_ttl). Short, because Nix remembers for an hour that a path is absent.
    pub const NEGATIVE_TTL: Duration = Duration::from_secs(3);

    /// Whether it is the cache of NixOS, whose key is known.
    pub fn is_nixos(&self) -> bool {
        self.url.host_str() == Some("cache.nixos.org")
    }

    /// Whether it is a bucket, and not a web server.
    pub fn is_bucket(&self) -> bool {
        self.url.scheme() == "s3"
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            url: Url::parse("http://localhost").expect("it is a URL"),
            public_keys: Vec::new(),
            lookup_timeout: Self::LOOKUP_TIMEOUT,
            negative_ttl: Self::NEGATIVE_TTL,
            credentials: UpstreamCredentials::default(),
        }
    }
}

/// What a private upstream wants to see. The secrets are in files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamCredentials {
    /// The user name that goes with the password; empty if absent.
    pub user: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// File with a bearer token.
    pub token_file: Option<PathBuf>,
    /// File in the format of curl and Nix, in which the host of the upstream is looked up.
    pub netrc_file: Option<PathBuf>,
    /// File with header lines.
    pub headers_file: Option<PathBuf>,
    /// File with a certificate and the chain above it, in PEM.
    pub client_certificate_file: Option<PathBuf>,
    /// File with the private key of the certificate, in PEM; the same file if absent.
    pub client_key_file: Option<PathBuf>,
    /// File with the access key id of a bucket.
    pub s3_access_key_file: Option<PathBuf>,
    /// File with the secret access key of a bucket.
    pub s3_secret_key_file: Option<PathBuf>,
}

impl UpstreamCredentials {
    /// The files by the names of their keys.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let files = [
            ("password-file", &self.password_file),
            ("token-file", &self.token_file),
            ("netrc-file", &self.netrc_file),
            ("headers-file", &self.headers_file),
            ("client-certificate-file", &self.client_certificate_file),
            ("client-key-file", &self.client_key_file),
            ("s3-access-key-file", &self.s3_access_key_file),
            ("s3-secret-key-file", &self.s3_secret_key_file),
        ];
        files.into_iter().filter_map(|(key, file)| Some((key, file.as_ref()?)))
    }
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
    /// Whether the cache is served. A disabled cache keeps its data.
    pub enabled: bool,
    /// Who may read.
    pub access: Access,
    /// Days that an unused path is kept.
    pub retention: u32,
    /// A port of its own; without one the cache is reachable by host name and by path.
    pub port: Option<u16>,
    /// A certificate of its own.
    pub tls: CacheTls,
    /// `Priority` of `nix-cache-info`: Nix asks substituters with lower numbers first.
    pub priority: u32,
    /// Compression that the cache asks pushing clients for.
    pub compression: PreferredCompression,
    /// Who signs the paths.
    pub signing: SigningMode,
    /// Nix secret key files to sign with instead of a generated key, the first under the primary name.
    pub signing_key_files: Vec<PathBuf>,
    /// Keys that the cache trusts beside its own. Their signatures are kept.
    pub trusted_public_keys: Vec<PublicKey>,
    /// Binary caches to ask for missing paths, in this order.
    pub upstreams: Vec<Upstream>,
    /// Whether clients that push are told that they can skip what an upstream has.
    pub skip_upstream: bool,
    /// Whether what clients skipped because an upstream has it is kept here too.
    pub pin_upstream: bool,
    /// What happens to paths whose closure is incomplete.
    pub closures: Closures,
    /// What happens to paths that were found elsewhere.
    pub federation: CacheFederation,
    /// The most bytes that it may have on all its storages.
    pub max_size: Option<u64>,
    /// What happens to pushes for which there is no room.
    pub when_full: WhenFull,
    /// How a storage is chosen for a new file.
    pub storage_strategy: Strategy,
    /// On how many storages each NAR lies; at least 1.
    pub copies: u32,
    /// How many copies are durable before a push is answered.
    pub copies_before_answer: CopiesBeforeAnswer,
    /// How long a storage may be away before what it holds is copied elsewhere.
    pub re_copy_after: Duration,
    /// Storages of the files, at least one. Names are unique within the cache.
    pub storages: Vec<StorageConfig>,
}

/// `caches[].federation`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheFederation {
    /// Whether paths that were found elsewhere are kept.
    pub keep: bool,
    /// Bytes of the cache above which the least recently used paths are removed. Only with `keep`.
    pub keep_max_size: Option<u64>,
    /// Whose signatures count for paths of other nodes.
    pub trust: FederationTrust,
}

/// One entry of `caches[].storages`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StorageConfig {
    /// Name within the cache. The catalog knows the storage by it.
    pub name: Name,
    /// Type of the storage, and where it is.
    pub kind: StorageKind,
    /// Percentage of the bytes, for [`Strategy::Split`]. The shares of a cache sum to 100.
    pub split: Option<u8>,
    /// 0 for the fastest storages; files go to slower ones when these have no room.
    pub tier: u8,
    /// Whether each NAR has a copy on this storage or on another one that says so.
    pub durable: bool,
    /// How long a NAR that nobody reads stays before it goes to a slower tier.
    pub demote_after: Option<Duration>,
    /// Whether NARs that are read from a slower tier are copied here.
    pub promote: bool,
    /// Used bytes at which the storage counts as full.
    pub max_size: Option<u64>,
    /// Whether the storage takes no new files.
    pub draining: bool,
}

impl StorageConfig {
    /// Whether files move between this storage and those of slower tiers.
    pub fn moves_files(&self) -> bool {
        self.demote_after.is_some() || self.promote
    }
}

/// The type of a storage, with the settings of that type.
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
    /// Region. Never empty, also if the service ignores it.
    pub region: String,
    /// Base URL of the service; AWS in the region if absent.
    pub endpoint: Option<Url>,
    /// Whether the bucket is named in the path instead of the host name.
    pub force_path_style: bool,
    /// Whether readers of NARs are redirected to the service itself, with links that expire.
    pub redirect: bool,
    /// Access key id. Without it and `secret_key`, the AWS credential chain provides both.
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

/// One entry of `oidc`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OidcProvider {
    /// Name in the log and in lists.
    pub name: Name,
    /// The claim `iss` of its tokens.
    pub issuer: String,
    /// The values of the claim `aud` that are accepted; at least one.
    pub audiences: Vec<String>,
    /// Where its keys are, if it does not say so itself.
    pub jwks_url: Option<Url>,
    /// Signature algorithms that are accepted; see [`OidcProvider::accepted_algorithms`].
    pub algorithms: Vec<OidcAlgorithm>,
    /// What its tokens permit; the first that fits decides.
    pub rules: Vec<AccessRule>,
}

impl OidcProvider {
    /// The signature algorithms that are accepted.
    pub fn accepted_algorithms(&self) -> &[OidcAlgorithm] {
        const USUAL: &[OidcAlgorithm] = &[OidcAlgorithm::Rs256, OidcAlgorithm::Es256];
        if self.algorithms.is_empty() { USUAL } else { &self.algorithms }
    }
}

/// What somebody may do who proves something.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccessRule {
    /// What has to be proved; at least one condition.
    pub conditions: Vec<Condition>,
    /// The caches that are opened; at least one.
    pub caches: Vec<CacheName>,
    /// What is permitted on them.
    pub permission: RulePermission,
    /// How long a token lasts that is given in exchange.
    pub lifetime: Duration,
}
