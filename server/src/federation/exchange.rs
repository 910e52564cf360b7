//! Asking other nodes for their inventories, and answering them.
//!
//! An inventory tells what a node holds, as the records of the DHT do, and is as secret: whoever asks proves to have a key of the
//! network, and the answer is sealed with it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use peer_network::inventory::{self, InventoryMessage, MOST_BYTES};
use peer_network::{Asker, Network, NodeId, Peer};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::client::read_body;
use super::inventories::InventoryError;
use super::{Federation, PROOF_HEADER};

use crate::chain::chain;

/// Pause between two rounds of asking.
const PAUSE: Duration = Duration::from_secs(1);
/// Nodes that are asked at once.
const ASKED_AT_ONCE: usize = 8;
/// How long it may take to learn who somebody is.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// Bytes by which an answer is longer than what is in it, at most.
const SEAL: usize = 1 << 10;

/// The question for an inventory, as it stands in a URL.
#[derive(Clone, Debug, Deserialize)]
pub struct InventoryQuestion {
    /// The version that the asking node has.
    epoch: u64,
    position: u64,
    /// Something that it never asked with before.
    nonce: String,
}

/// A node that has proved to belong to our network, and what it asks for.
pub struct ProvenPeer {
    question: InventoryQuestion,
    asker: Asker,
}

impl InventoryQuestion {
    /// What is proved to be asked by that node.
    fn text(&self, node: &NodeId) -> Vec<u8> {
        format!("digest {node} {} {} {}", self.epoch, self.position, self.nonce).into_bytes()
    }
}

impl Federation {
    /// Asks the other nodes again and again what they hold.
    pub(super) async fn follow_peers(self: Arc<Self>, network: Arc<Network>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_some() {
            let peers = network.peers();
            self.inventories.retain(&peers);
            let has_one = |peer: &&Arc<Peer>| peer.description.inventory_version == inventory::VERSION;
            let peers: Vec<Arc<Peer>> = peers.values().filter(has_one).cloned().collect();
            let asking = stream::iter(peers).map(|peer| self.clone().learn_from(peer));
            let asking = asking.buffer_unordered(ASKED_AT_ONCE).collect::<()>();
            if stop.run_until_cancelled(asking).await.is_none() {
                return;
            }
        }
    }

    async fn learn_from(self: Arc<Self>, peer: Arc<Peer>) {
        let message = self.ask_inventory(&peer).await;
        match self.inventories.learn(peer.id, message) {
            Ok(added) => self.now_present(&added),
            Err(error) => {
                tracing::debug!(node = %peer.id, error = %chain(&error), "no inventory from another node")
            }
        }
    }

    pub(super) async fn ask_inventory(&self, peer: &Peer) -> Result<InventoryMessage, InventoryError> {
        let Some(network) = self.network() else { return Err(InventoryError::Malformed) };
        let (epoch, position) = self.inventories.version_of(&peer.id);
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        let question = InventoryQuestion { epoch, position, nonce: URL_SAFE_NO_PAD.encode(nonce) };
        let text = question.text(&network.id());
        let mut url = peer.description.url.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/api/v1/network/digest"));
        url.set_query(Some(&format!("epoch={epoch}&position={position}&nonce={}", question.nonce)));
        let proof = URL_SAFE_NO_PAD.encode(network.prove(&text));
        let answer = self.client.get_from_node(&url, Some(network.id()), &[(PROOF_HEADER, proof)]).await?;
        if answer.status() != StatusCode::OK {
            return Err(InventoryError::Status(answer.status()));
        }
        let body = read_body(answer, MOST_BYTES + SEAL).await?;
        let message = network.open_answer(&text, &body).ok_or(InventoryError::Malformed)?;
        InventoryMessage::decode(&message).ok_or(InventoryError::Malformed)
    }

    /// Checks the proof of a node that asks for our inventory. `None` if the node does not belong to our network, or we are in
    /// none.
    pub fn recognise(
        self: &Arc<Self>,
        question: InventoryQuestion,
        node: NodeId,
        proof: &str,
    ) -> Option<ProvenPeer> {
        let network = self.network()?;
        let asker = network.recognise(&question.text(&node), &URL_SAFE_NO_PAD.decode(proof).ok()?)?;
        self.met(node);
        Some(ProvenPeer { question, asker })
    }

    /// Answers a node that asks for our inventory. `None` if the answer cannot be sealed.
    pub async fn answer(self: &Arc<Self>, peer: ProvenPeer) -> Option<Vec<u8>> {
        let federation = self.clone();
        let ProvenPeer { question, asker } = peer;
        // Building it takes a while where there are many paths.
        let answer = move || {
            let message =
                federation.inventories.since(question.epoch, question.position, &*federation.public_caches);
            asker.seal(&message.encode())
        };
        tokio::task::spawn_blocking(answer).await.ok()?.ok()
    }

    /// A node has asked us something. If it is a new one, finds out who it is, so that what it has is not overlooked.
    fn met(&self, node: NodeId) {
        let Some(network) = self.network() else { return };
        if network.peers().contains_key(&node) {
            return;
        }
        let network = network.clone();
        tokio::spawn(async move { network.meet(node, tokio::time::Instant::now() + INTRODUCTION).await });
    }
}
