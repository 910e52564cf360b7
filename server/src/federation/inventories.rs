//! Inventories of what the nodes of the network hold, so that a path that nobody has costs no question.
//!
//! Every node asks every other one again and again what it holds, and mostly hears that nothing has changed. What has come
//! within these seconds is not known yet: then the path is not here for a moment longer, as if it had been announced later.
//! A node that does not answer cannot be read from either, so what it may hold does not matter.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use http::StatusCode;
use nix_formats::StorePathHash;
use parking_lot::{Mutex, MutexGuard, RwLock};
use peer_network::inventory::{InventoryFilter, InventoryLog, InventoryMessage};
use peer_network::{LocalInventory, NodeId, Peers};

use super::client::ClientError;

/// Age at which an inventory says nothing any more.
const LONGEST_AGE: Duration = Duration::from_secs(15);

/// Why the inventory of a node could not be had.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// It did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It refused to.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// It is not sealed with a key of the network, or not an inventory, or not that of this version.
    #[error("its inventory makes no sense")]
    Malformed,
    /// The question cannot be made.
    #[error("the system has no random bytes")]
    Random(#[from] getrandom::Error),
}

/// What a node last said.
struct Known {
    epoch: u64,
    position: u64,
    inventory: InventoryFilter,
}

/// What is known of a node.
struct PeerState {
    known: Option<Known>,
    /// When it last answered.
    answered: Option<Instant>,
    /// Whether it did when it was last asked.
    answers: bool,
}

/// Our own inventory.
#[derive(Default)]
enum Own {
    /// Nobody has asked for it yet.
    #[default]
    None,
    /// It is being built, and these paths have come meanwhile.
    Building(Vec<StorePathHash>),
    /// It is there.
    Built(InventoryLog),
}

/// Our inventory and those of the others.
#[derive(Default)]
pub struct Inventories {
    own: Mutex<Own>,
    /// Held while it is being built.
    building: Mutex<()>,
    peers: RwLock<HashMap<NodeId, PeerState>>,
}

impl Inventories {
    /// A path of a public cache has come or gone.
    pub fn note(&self, path: StorePathHash, is_here: bool) {
        match &mut *self.own() {
            Own::Built(log) if is_here => log.add(path),
            Own::Built(log) => log.remove(),
            Own::Building(added) if is_here => added.push(path),
            Own::Building(_) | Own::None => {}
        }
    }

    /// The caches are not the same any more: what our inventory says counts no longer.
    pub fn forget_own(&self) {
        let _built = self.building.lock();
        *self.own() = Own::None;
    }

    /// What somebody needs who has this version of our inventory. Blocks while it is built.
    pub fn since(&self, epoch: u64, position: u64, holdings: &impl LocalInventory) -> InventoryMessage {
        if let Some(message) = self.since_if_built(epoch, position) {
            return message;
        }
        let _building = self.building.lock();
        if let Some(message) = self.since_if_built(epoch, position) {
            return message;
        }
        *self.own() = Own::Building(Vec::new());
        let paths: Vec<_> = holdings.paths().into_iter().map(|path| path.hash).collect();
        // A number that no other inventory of this or any other run has.
        let number = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        let mut log = InventoryLog::of(number, &paths);
        let mut own = self.own();
        if let Own::Building(added) = &mut *own {
            added.drain(..).for_each(|path| log.add(path));
        }
        let message = log.since(epoch, position);
        *own = Own::Built(log);
        message
    }

    fn since_if_built(&self, epoch: u64, position: u64) -> Option<InventoryMessage> {
        match &*self.own() {
            Own::Built(log) if !log.is_worn() => Some(log.since(epoch, position)),
            _ => None,
        }
    }

    /// Whether it is known that none of the nodes has the path.
    pub fn exclude(&self, path: &StorePathHash, peers: &Peers) -> bool {
        let states = self.peers.read();
        let excluded = |node: &NodeId| {
            let Some(state) = states.get(node) else { return false };
            let is_fresh = state.answered.is_some_and(|answered| answered.elapsed() < LONGEST_AGE);
            match &state.known {
                Some(known) if is_fresh => !known.inventory.may_contain(path),
                _ => !state.answers,
            }
        };
        !peers.is_empty() && peers.keys().all(excluded)
    }

    /// How long ago a node told what it holds.
    pub fn age_of(&self, node: &NodeId) -> Option<Duration> {
        let states = self.peers.read();
        Some(states.get(node)?.answered?.elapsed())
    }

    /// The version of a node's inventory that we have; zeros for none.
    pub fn version_of(&self, node: &NodeId) -> (u64, u64) {
        let states = self.peers.read();
        let known = states.get(node).and_then(|state| state.known.as_ref());
        known.map_or((0, 0), |known| (known.epoch, known.position))
    }

    /// Takes what a node said, or that it did not. Returns the paths that it has got since it was last asked.
    pub fn learn(
        &self,
        node: NodeId,
        message: Result<InventoryMessage, InventoryError>,
    ) -> Result<Vec<StorePathHash>, InventoryError> {
        let mut states = self.peers.write();
        let state = states.entry(node).or_insert(PeerState { known: None, answered: None, answers: false });
        // One that has no inventory for us can be asked for paths all the same.
        state.answers = !matches!(message, Err(InventoryError::Client(_)));
        let added = match message? {
            InventoryMessage::Whole { epoch, position, filter: inventory } => {
                state.known = Some(Known { epoch, position, inventory });
                Vec::new()
            }
            InventoryMessage::Added { epoch, position, paths } => {
                let known = state.known.as_mut().filter(|known| known.epoch == epoch);
                let known = known.ok_or(InventoryError::Malformed)?;
                paths.iter().for_each(|path| known.inventory.insert(path));
                known.position = position;
                paths
            }
        };
        state.answered = Some(Instant::now());
        Ok(added)
    }

    /// Forgets those that are gone.
    pub fn retain(&self, peers: &Peers) {
        let mut states = self.peers.write();
        states.retain(|node, _| peers.contains_key(node));
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock()
    }
}
