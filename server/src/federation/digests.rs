//! Digests of what the nodes of the network hold, so that a path that nobody has costs no question.
//!
//! Every node asks every other one again and again what it holds, and mostly hears that nothing has changed. What has come
//! within these seconds is not known yet: then the path is not here for a moment longer, as if it had been announced later.
//! A node that does not answer cannot be read from either, so what it may hold does not matter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ::federation::digest::{Digest, DigestLog, DigestMessage, MOST_BYTES};
use ::federation::{Holdings, Network, NodeId, Peer, Peers};
use futures_util::{StreamExt, stream};
use http::StatusCode;
use nix_formats::StorePathHash;
use tokio_util::sync::CancellationToken;

use super::Federation;
use super::client::{ClientError, read_body};

/// Pause between two rounds of asking.
const PAUSE: Duration = Duration::from_secs(2);
/// Age at which a digest says nothing any more.
const LONGEST_AGE: Duration = Duration::from_secs(15);
/// Nodes that are asked at once.
const ASKED_AT_ONCE: usize = 8;
/// How long it may take to learn who somebody is.
const INTRODUCTION: Duration = Duration::from_secs(5);

/// Why the digest of a node could not be had.
#[derive(Debug, thiserror::Error)]
enum DigestError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("its digest makes no sense")]
    Malformed,
}

/// What a node last said.
struct Known {
    epoch: u64,
    position: u64,
    digest: Digest,
}

/// What is known of a node.
struct PeerState {
    known: Option<Known>,
    /// When it last answered.
    answered: Option<Instant>,
    /// Whether it did when it was last asked.
    answers: bool,
}

/// Our digest and those of the others.
#[derive(Default)]
pub struct Digests {
    /// Built when somebody first asks.
    own: Mutex<Option<DigestLog>>,
    peers: RwLock<HashMap<NodeId, PeerState>>,
}

impl Digests {
    /// A path of a public cache has come or gone.
    pub fn note(&self, path: StorePathHash, is_here: bool) {
        if let Some(log) = self.own().as_mut() {
            if is_here { log.add(path) } else { log.remove() }
        }
    }

    /// What somebody needs who has this version of our digest. Blocks while it is built.
    pub fn since(&self, epoch: u64, position: u64, holdings: &impl Holdings) -> DigestMessage {
        let mut own = self.own();
        let log = match own.take().filter(|log| !log.is_worn()) {
            Some(log) => log,
            None => {
                // A number that no other digest of this or any other run has.
                let epoch = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
                let paths: Vec<_> = holdings.paths().into_iter().map(|path| path.hash).collect();
                DigestLog::of(epoch, &paths)
            }
        };
        own.insert(log).since(epoch, position)
    }

    /// Whether it is known that none of the nodes has the path.
    pub fn exclude(&self, path: &StorePathHash, peers: &Peers) -> bool {
        let states = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        let excluded = |node: &NodeId| {
            let Some(state) = states.get(node) else { return false };
            let is_fresh = state.answered.is_some_and(|answered| answered.elapsed() < LONGEST_AGE);
            match &state.known {
                Some(known) if is_fresh => !known.digest.may_contain(path),
                _ => !state.answers,
            }
        };
        !peers.is_empty() && peers.keys().all(excluded)
    }

    fn version_of(&self, node: &NodeId) -> (u64, u64) {
        let states = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        let known = states.get(node).and_then(|state| state.known.as_ref());
        known.map_or((0, 0), |known| (known.epoch, known.position))
    }

    fn learn(&self, node: NodeId, message: Result<DigestMessage, DigestError>) -> Result<(), DigestError> {
        let mut states = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(node).or_insert(PeerState { known: None, answered: None, answers: false });
        state.answers = message.is_ok();
        match message? {
            DigestMessage::Whole { epoch, position, digest } => {
                state.known = Some(Known { epoch, position, digest });
            }
            DigestMessage::Added { epoch, position, paths } => {
                let known = state.known.as_mut().filter(|known| known.epoch == epoch);
                let known = known.ok_or(DigestError::Malformed)?;
                paths.iter().for_each(|path| known.digest.insert(path));
                known.position = position;
            }
        }
        state.answered = Some(Instant::now());
        Ok(())
    }

    /// Forgets those that are gone.
    fn retain(&self, peers: &Peers) {
        let mut states = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        states.retain(|node, _| peers.contains_key(node));
    }

    fn own(&self) -> MutexGuard<'_, Option<DigestLog>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Federation {
    /// Asks the other nodes again and again what they hold.
    pub(super) async fn follow_peers(self: Arc<Self>, network: Arc<Network>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_some() {
            let peers = network.peers();
            self.digests.retain(&peers);
            let peers: Vec<Arc<Peer>> = peers.values().cloned().collect();
            let asking = stream::iter(peers).map(|peer| self.clone().learn_from(peer));
            let asking = asking.buffer_unordered(ASKED_AT_ONCE).collect::<()>();
            if stop.run_until_cancelled(asking).await.is_none() {
                return;
            }
        }
    }

    async fn learn_from(self: Arc<Self>, peer: Arc<Peer>) {
        let message = self.ask_digest(&peer).await;
        if let Err(error) = self.digests.learn(peer.id, message) {
            tracing::debug!(node = %peer.id, %error, "no digest from another node");
        }
    }

    async fn ask_digest(&self, peer: &Peer) -> Result<DigestMessage, DigestError> {
        let (epoch, position) = self.digests.version_of(&peer.id);
        let mut url = peer.description.url.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/api/v1/network/digest"));
        url.set_query(Some(&format!("epoch={epoch}&position={position}")));
        let answer = self.client.get(&url, self.network().map(|network| network.id())).await?;
        if answer.status() != StatusCode::OK {
            return Err(DigestError::Status(answer.status()));
        }
        let body = read_body(answer, MOST_BYTES).await?;
        DigestMessage::decode(&body).ok_or(DigestError::Malformed)
    }

    /// What somebody needs who has this version of our digest; `None` if we stay alone.
    pub async fn digest_since(self: &Arc<Self>, epoch: u64, position: u64) -> Option<DigestMessage> {
        self.network()?;
        let federation = self.clone();
        // Building it takes a while where there are many paths.
        let message = move || federation.digests.since(epoch, position, &*federation.shelf);
        tokio::task::spawn_blocking(message).await.ok()
    }

    /// A node has asked us something. If it is a new one, finds out who it is, so that what it has is not overlooked.
    pub fn met(self: &Arc<Self>, node: NodeId) {
        let Some(network) = self.network() else { return };
        if network.peers().contains_key(&node) {
            return;
        }
        let network = network.clone();
        tokio::spawn(async move { network.meet(node, tokio::time::Instant::now() + INTRODUCTION).await });
    }
}
