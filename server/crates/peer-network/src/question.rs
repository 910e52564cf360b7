//! Questions that nodes ask each other outside of the DHT, over HTTP say: who asks proves to have a key of the network, and
//! only who has it can read the answer. What a node holds is as secret as the records that say so.

use std::sync::Arc;

use hmac::Mac;

use crate::Network;
use crate::network_key::NetworkKey;

/// Bytes of a proof.
const PROOF: usize = 32;

/// Somebody who has a key of the network.
pub struct Asker {
    key: Arc<NetworkKey>,
    context: Vec<u8>,
}

impl Asker {
    /// The answer as only the asker can read it, and only as one to this question.
    ///
    /// # Errors
    ///
    /// If the system has no random bytes.
    pub fn seal(&self, answer: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        self.key.seal(&self.context, answer)
    }
}

impl Network {
    /// Proves that a question comes from a node of the network. There is one proof for each of our keys, as the other side
    /// may have only one of them. A question should not be asked twice: put something random into it.
    pub fn prove(&self, question: &[u8]) -> Vec<u8> {
        self.keys().iter().flat_map(|key| key.proof(question).finalize().into_bytes()).collect()
    }

    /// Who asks the question, if one of the proofs is that of a key of ours.
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

    /// What the answer to our question says; `None` if it is no answer to that of a node of the network.
    pub fn open_answer(&self, question: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.keys().iter().find_map(|key| key.open(&context(question), sealed))
    }
}

/// What an answer is sealed for. No record has a name like that.
fn context(question: &[u8]) -> Vec<u8> {
    [b"answer:", question].concat()
}
