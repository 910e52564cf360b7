//! Authenticated requests between nodes outside of the DHT, such as over HTTP. The requester proves that it has a key of the
//! network, and only holders of that key can read the reply: the inventory of a node is as secret as its records.

use std::sync::Arc;

use hmac::Mac;

use crate::Network;
use crate::network_key::NetworkKey;

/// The length of a proof in bytes.
const PROOF: usize = 32;

/// A requester that has a key of the network.
pub struct Asker {
    key: Arc<NetworkKey>,
    context: Vec<u8>,
}

impl Asker {
    /// Seals a reply so that only the requester can read it, and only as the reply to this request.
    ///
    /// # Errors
    ///
    /// If the operating system returns no random bytes.
    pub fn seal(&self, answer: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        self.key.seal(&self.context, answer)
    }
}

impl Network {
    /// Returns proofs that a request comes from a node of the network: one per key, because the other side may have only one
    /// of them. Include random bytes in a request so that it is never sent twice.
    pub fn prove(&self, question: &[u8]) -> Vec<u8> {
        self.keys().iter().flat_map(|key| key.proof(question).finalize().into_bytes()).collect()
    }

    /// Returns the requester if one of the proofs was made with a key of ours.
    pub fn recognise(&self, question: &[u8], proofs: &[u8]) -> Option<Asker> {
        let (proofs, rest) = proofs.as_chunks::<PROOF>();
        if !rest.is_empty() {
            return None;
        }
        // Compares in constant time.
        let proved = |key: &&Arc<NetworkKey>| {
            proofs.iter().any(|proof| key.proof(question).verify_slice(proof).is_ok())
        };
        Some(Asker { key: self.keys().iter().find(proved)?.clone(), context: context(question) })
    }

    /// Opens the reply to our request; `None` if no node of the network sealed it for this request.
    pub fn open_answer(&self, question: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.keys().iter().find_map(|key| key.open(&context(question), sealed))
    }
}

/// Returns the context for which a reply is sealed. No record has such a name.
fn context(question: &[u8]) -> Vec<u8> {
    [b"answer:", question].concat()
}
