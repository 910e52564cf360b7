//! What is not in a cache of ours: who else has it, and proof that it is what it claims to be.
//!
//! A path that a public cache lacks is looked for in the other public caches of this daemon, then at the nodes of the
//! network that say they have it, then at the upstreams of the cache. A private cache asks only the upstreams that are
//! configured for it: what its readers look for is nobody else's business. Nothing here is announced of a private cache.
//! Of another cache of this daemon only that is taken which a key has signed that the asking cache trusts.
//!
//! | file | what |
//! |---|---|
//! | `public_caches.rs` | what we tell the network |
//! | `find.rs` | looking for a path, once for all who ask at a time |
//! | `look.rs` | where it is looked for |
//! | `trust.rs` | whose signatures count |
//! | `sign.rs` | the narinfo as our readers get it |
//! | `ask.rs` | asking one other cache, and checking what it says |
//! | `ticket.rs` | the URL that says where a NAR comes from |
//! | `fetch.rs` | getting a NAR from there |
//! | `sources.rs` | who has it, and goes on where another breaks off |
//! | `download.rs` | its bytes as they arrive |
//! | `unpacked.rs` | and without their `Content-Encoding` |
//! | `relay.rs` | passing its bytes on, and checking them before the last |
//! | `skip.rs` | what need not be pushed |
//! | `elsewhere.rs` | what a cache relies on to be elsewhere, and watches |
//! | `keep.rs` | storing what passes, for caches that are told to |
//! | `inventories.rs` | what the other nodes hold, in few bytes |
//! | `exchange.rs` | asking for that, and answering |
//! | `health.rs` | who answers, how fast, and who is left alone for now |
//! | `upstreams/` | the configured upstreams: credentials, records, what they do not have |
//! | `upstream_state.rs` | how they are, for operators |
//! | `client.rs` | requests |
//! | `address_scope.rs` | where redirects and the URLs of nodes may lead |

mod address_scope;
mod arriving;
mod ask;
mod client;
mod download;
mod elsewhere;
mod exchange;
mod fetch;
mod find;
mod health;
mod inventories;
mod keep;
mod look;
mod public_caches;
mod relay;
mod sign;
mod skip;
mod sources;
mod ticket;
mod trust;
mod unpacked;
mod upstream_state;
mod upstreams;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use catalog::Catalog;
use nix_formats::StorePathHash;
use peer_network::{
    Bootstrap, HeldPath, Keyring, LocalInventory, Network, Peer, Settings, StartError, Timing,
};
use rustls::ClientConfig;
use supervised::keep_running;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use url::Url;

pub use self::address_scope::AddressScope;
pub use self::client::{Client, ClientError};
pub use self::download::Download;
pub use self::exchange::{InventoryQuestion, ProvenPeer};
pub use self::fetch::{FetchError, Fetched};
pub use self::find::{Found, Outcome};
pub use self::keep::size_to_collect;
pub use self::ticket::{Ticket, TicketText, most_bytes_of_file, within};
pub use self::unpacked::read_unpacked;
pub use self::upstream_state::{UpstreamCondition, UpstreamState};
pub use self::upstreams::Credentials;

use self::ask::Candidate;
use self::elsewhere::Reliance;
use self::find::Lookups;
use self::health::{Health, HealthBook};
use self::inventories::Inventories;
use self::keep::Keeping;
use self::public_caches::{PublicCaches, paths_of};
use self::ticket::TicketKey;
use self::upstreams::Upstreams;
use crate::cache::{Cache, Caches};
use crate::config::{Config, SecretError, SecretSource, ServerConfig};
use crate::ingest::Ingest;
use crate::origin::node_url;
use crate::uploads::Uploads;

/// The header by which a node says that it asks for itself, with its id: such requests are answered from what is here, so
/// that no question goes in circles.
pub const PEER_HEADER: &str = "cache-server-peer";

/// The header that proves that a question comes from a node of the network.
pub const PROOF_HEADER: &str = "cache-server-proof";

/// NARs that are passed on at once. Each takes a thread that checks it.
const MAX_RELAYS: usize = 128;

/// Why federation could not start.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// The key of the network cannot be read.
    #[error("server.dht-network-key-file")]
    Key(#[from] SecretError),
    /// The node could not start.
    #[error("this node cannot take part in the network")]
    Start(#[from] StartError),
}

/// What we think of another node.
pub struct PeerHealth {
    /// How long it takes to answer, the fastest of its caches.
    pub latency: Option<Duration>,
    /// For how long more one of its caches is left alone.
    pub breaker_open_for: Option<Duration>,
    /// How long ago it told what it holds.
    pub inventory_age: Option<Duration>,
}

/// Everything that concerns other nodes and upstreams.
pub struct Federation {
    /// `None` if the daemon stays alone, and until it has started.
    network: OnceLock<Arc<Network>>,
    public_caches: Arc<PublicCaches>,
    catalog: Catalog,
    client: Client,
    health: HealthBook,
    lookups: Lookups,
    keeping: Keeping,
    inventories: Inventories,
    upstreams: Upstreams,
    reliance: Reliance,
    uploads: Arc<Uploads>,
    ingest: Arc<Ingest>,
    tickets: ArcSwap<TicketKey>,
    /// Told when a cache that keeps what it finds is too large.
    overgrown: Notify,
    stop: CancellationToken,
    relays: Arc<Semaphore>,
    lookup_timeout: Duration,
}

impl Federation {
    /// Prepares for asking others, with these settings for HTTPS. Nothing is sent yet.
    pub fn new(
        server: &ServerConfig,
        key: &[u8],
        catalog: Catalog,
        uploads: Arc<Uploads>,
        ingest: Arc<Ingest>,
        https: ClientConfig,
    ) -> Self {
        Self {
            network: OnceLock::new(),
            public_caches: Arc::new(PublicCaches::new(announced_url(server))),
            catalog,
            client: Client::new(scope_of_nodes(server), https),
            health: HealthBook::default(),
            lookups: Lookups::default(),
            keeping: Keeping::default(),
            inventories: Inventories::default(),
            upstreams: Upstreams::new(&server.trusted_authorities),
            reliance: Reliance::default(),
            uploads,
            ingest,
            tickets: ArcSwap::from_pointee(TicketKey::derive(key)),
            overgrown: Notify::new(),
            stop: CancellationToken::new(),
            relays: Arc::new(Semaphore::new(MAX_RELAYS)),
            lookup_timeout: server.federation.lookup_timeout,
        }
    }

    /// Joins the network, unless the daemon is to stay alone.
    ///
    /// # Errors
    ///
    /// If the network's key or that of the node cannot be read. A port of the DHT that is taken is no error: taking it is retried.
    pub async fn start(
        self: &Arc<Self>,
        config: &Config,
        key: &[u8],
        caches: Arc<Caches>,
    ) -> Result<(), FederationError> {
        let server = &config.server;
        self.upstreams.set(&caches);
        self.public_caches.set_caches(caches);
        if server.standalone {
            return Ok(());
        }
        let bootstrap = |host: &String| Bootstrap { host: host.clone(), port: server.dht_bootstrap_port };
        let settings = Settings {
            bind: server.dht_address(),
            port: server.dht_port,
            public_ip: server.dht_public_address,
            bootstrap: server.dht_bootstrap_hosts.iter().map(bootstrap).collect(),
            max_records: usize::try_from(server.dht_max_records).unwrap_or(usize::MAX),
            directory: &server.state_dir,
            timing: Timing::default(),
        };
        let network = Network::start(settings, keyring(server, key)?, self.public_caches.clone()).await?;
        tracing::info!(node = %network.id(), url = %self.public_caches.url(), "taking part in the network");
        let (federation, followed) = (self.clone(), network.clone());
        tokio::spawn(async move {
            let follow = || federation.clone().follow_peers(followed.clone(), federation.stop.clone());
            keep_running("asking other nodes for their inventories", &federation.stop, follow).await;
        });
        let _ = self.network.set(network);
        self.follow_changes();
        Ok(())
    }

    /// Makes tickets with another key of the server from now on. Those that readers have are good until the next one.
    pub fn replace_key(&self, key: &[u8]) {
        let before = self.tickets.load();
        self.tickets.store(Arc::new(TicketKey::derive(key).after(&before)));
    }

    /// Takes other keys of the network, if they are others.
    pub fn set_network_keys(&self, keys: Keyring) {
        if let Some(network) = self.network.get() {
            network.set_keys(keys);
        }
    }

    /// Ends all work in the background.
    pub fn stop(&self) {
        self.stop.cancel();
        if let Some(network) = self.network.get() {
            network.stop();
        }
    }

    /// The running node of the network, if the daemon does not stay alone.
    pub fn network(&self) -> Option<&Arc<Network>> {
        self.network.get()
    }

    /// The caches are other ones, or other than they were.
    pub fn set_caches(self: &Arc<Self>, caches: Arc<Caches>) {
        self.upstreams.set(&caches);
        let changed = self.public_caches.set_caches(caches);
        self.lookups.begin_generation();
        self.reliance.begin_generation();
        self.inventories.forget_own();
        self.follow_changes();
        if let Some(network) = self.network.get() {
            network.announce_node_soon();
            changed.iter().flat_map(|cache| paths_of(cache)).for_each(|path| network.announce(path));
        }
    }

    /// Tells the network about every path that comes or goes from now on.
    fn follow_changes(self: &Arc<Self>) {
        if self.network.get().is_none() {
            return;
        }
        for cache in self.public_caches.caches().iter() {
            let Some(number) = public_caches::number(cache) else { continue };
            let federation = Arc::downgrade(self);
            cache.index.tell_changes_to(move |hash| {
                if let Some(federation) = federation.upgrade() {
                    federation.changed(HeldPath { cache: number, hash });
                }
            });
        }
    }

    /// A path has come or gone. Nothing of a private cache is even thought of.
    fn changed(&self, path: HeldPath) {
        if let Some(network) = self.network.get()
            && self.public_caches.announces(path.cache)
        {
            self.inventories.note(path.hash, self.public_caches.holds(&path));
            network.announce(path);
        }
    }

    /// What we think of another node.
    pub fn health_of(&self, peer: &Peer) -> PeerHealth {
        let healths: Vec<_> = peer
            .description
            .caches
            .iter()
            .filter_map(|cache| self.health.get(&ask::base_of(peer, cache)?))
            .collect();
        let now = Instant::now();
        let shunned = |health: &Health| health.shunned_until?.checked_duration_since(now);
        PeerHealth {
            latency: healths.iter().filter_map(|health| health.latency).min(),
            breaker_open_for: healths.iter().filter_map(shunned).max(),
            inventory_age: self.inventories.age_of(&peer.id),
        }
    }

    /// Does not ask a source for a path for a while: what it gave contradicts what it signed or promised.
    fn quarantine(&self, candidate: &Candidate, path: &StorePathHash, reason: &str) {
        if self.health.is_worth_a_line(&candidate.base) {
            tracing::info!(cache = %candidate.base, %path, reason, "a path of another cache is in quarantine");
        }
        if let Some(remote) = &candidate.remote {
            remote.record.quarantined.increment();
            remote.record.note_error(format!("{path}: {reason}"));
        }
        self.health.quarantine(&candidate.base, path);
    }

    /// Asks another node for a sign of life, and says how long that took, or why there was none.
    pub async fn ping(&self, peer: &Peer) -> Result<Duration, String> {
        let begun = Instant::now();
        self.ask_inventory(peer).await.map_err(|error| error.to_string())?;
        Ok(begun.elapsed())
    }

    /// Whether there is anybody to ask about what the cache lacks.
    fn asks_for(&self, cache: &Cache) -> bool {
        (self.network.get().is_some() && cache.is_public()) || !cache.config().upstreams.is_empty()
    }
}

/// Where other nodes may be. A daemon that listens to this machine alone can only be reached by nodes that are on it too.
fn scope_of_nodes(server: &ServerConfig) -> AddressScope {
    let is_local = server.hostname == "localhost"
        || server.hostname.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match server.federation.local_addresses {
        true => AddressScope::Anywhere,
        false if is_local => AddressScope::OfNodesHere,
        false => AddressScope::OfNodes,
    }
}

/// Where other nodes reach this one.
fn announced_url(server: &ServerConfig) -> Url {
    let public = server.public_url.clone().filter(|_| server.node_url.is_none());
    let parsed = public.or_else(|| Url::parse(&node_url(server)).ok());
    // `hostname` may be something that no URL takes, such as a name with an underscore at its end.
    parsed.unwrap_or_else(|| Url::parse("http://localhost").expect("it is a URL"))
}

/// The keys of the network: those of the files in the configuration, else one that follows from the server's.
pub fn keyring(server: &ServerConfig, key: &[u8]) -> Result<Keyring, SecretError> {
    let read = |file: &std::path::PathBuf| SecretSource::File(file.clone()).resolve();
    let secrets = server.dht_network_key_files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(match secrets.split_first() {
        Some((first, others)) => {
            Keyring::derive(first.expose().as_bytes(), others.iter().map(|other| other.expose().as_bytes()))
        }
        // A key that is too short for tokens is still what the nodes share.
        None => match server.key.too_short() {
            Some(short) => Keyring::derive(short.expose().as_bytes(), []),
            None => Keyring::derive(key, []),
        },
    })
}
