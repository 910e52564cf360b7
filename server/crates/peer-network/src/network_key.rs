//! The keys that the nodes of one network derive from their shared secret.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use mainline::SigningKey;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The first byte of a record, which allows other ways of sealing later.
const VERSION: u8 = 1;

/// The keys of a network. Its records are signed with one of them, so that outsiders cannot write records, and sealed with
/// another, so that they cannot read them: any host that joins the DHT receives records to store.
pub struct NetworkKey {
    writer: SigningKey,
    seal: LessSafeKey,
    proof: Hmac<Sha256>,
}

impl NetworkKey {
    /// The bytes that sealing adds to a record.
    pub(crate) const OVERHEAD: usize = 1 + NONCE_LEN + 16;

    /// Derives the keys from the secret that the nodes share.
    pub fn derive(secret: &[u8]) -> Self {
        let writer = SigningKey::from_bytes(&derived(secret, b"cache-server network writer v1"));
        let seal = derived(secret, b"cache-server network seal v1");
        let seal = UnboundKey::new(&CHACHA20_POLY1305, seal.as_ref()).expect("the key has 32 bytes");
        let proof = derived(secret, b"cache-server network proof v1");
        let proof = Hmac::new_from_slice(proof.as_ref()).expect("HMAC takes keys of any length");
        Self { writer, seal: LessSafeKey::new(seal), proof }
    }

    /// Returns the key that signs records.
    pub(crate) fn writer(&self) -> &SigningKey {
        &self.writer
    }

    /// Returns the public key under which records are stored.
    pub(crate) fn public_key(&self) -> [u8; 32] {
        self.writer.verifying_key().to_bytes()
    }

    /// Returns the MAC of a text, which only holders of the key can compute.
    pub(crate) fn proof(&self, text: &[u8]) -> Hmac<Sha256> {
        self.proof.clone().chain_update(text)
    }

    /// Seals the contents of the record with this salt.
    pub(crate) fn seal(&self, salt: &[u8], content: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)?;
        let mut bytes = content.to_vec();
        let tag = self
            .seal
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(salt), &mut bytes)
            .expect("a record is shorter than 256 GiB");
        Ok([&[VERSION], nonce.as_slice(), bytes.as_slice(), tag.as_ref()].concat())
    }

    /// Opens the record with this salt; `None` if it was not sealed with this key for this salt.
    pub(crate) fn open(&self, salt: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (&version, rest) = sealed.split_first()?;
        if version != VERSION {
            return None;
        }
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.seal.open_in_place(nonce, Aad::from(salt), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

fn derived(secret: &[u8], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut derivation = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    derivation.update(purpose);
    Zeroizing::new(derivation.finalize().into_bytes().into())
}

/// The keys of a network: usually one, and the old and the new one during a key change. Records are written and looked up with
/// each of them, so that nodes that have only one of the two find everything.
#[derive(Clone)]
pub struct Keyring(Vec<Arc<NetworkKey>>);

impl Keyring {
    /// Derives the keys from one secret, or from several during a key change.
    pub fn derive<'a>(secret: &'a [u8], others: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let secrets = std::iter::once(secret).chain(others);
        Self(secrets.map(|secret| Arc::new(NetworkKey::derive(secret))).collect())
    }

    /// Returns whether both hold the same keys in the same order.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.iter().map(|key| key.public_key()).eq(other.iter().map(|key| key.public_key()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<NetworkKey>> {
        self.0.iter()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_record_opens_with_the_same_key_and_salt_only() {
        let key = NetworkKey::derive(b"secret");
        let sealed = key.seal(b"salt", b"content").unwrap();
        assert_eq!(sealed.len(), b"content".len() + NetworkKey::OVERHEAD);
        assert_eq!(NetworkKey::derive(b"secret").open(b"salt", &sealed).unwrap(), b"content");
        assert_eq!(NetworkKey::derive(b"other").open(b"salt", &sealed), None);
        assert_eq!(key.open(b"pepper", &sealed), None);
        for length in 0..sealed.len() {
            assert_eq!(key.open(b"salt", &sealed[..length]), None);
        }
    }

    #[test]
    fn keys_for_different_purposes_and_secrets_differ() {
        let key = NetworkKey::derive(b"secret");
        assert_eq!(key.public_key(), NetworkKey::derive(b"secret").public_key());
        assert_ne!(key.public_key(), NetworkKey::derive(b"other").public_key());
    }
}
