//! Secrets that daemons with the same server key share through their catalog.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::derived_key::derive;

/// First byte of what is sealed, so that another way of sealing can follow.
const VERSION: u8 = 1;

/// Seals secrets with a key derived from the server's key: ChaCha20-Poly1305 under a random nonce.
pub struct Sealer {
    key: LessSafeKey,
}

impl Sealer {
    /// Derives the key, so that nothing made for another purpose is valid here.
    pub fn derive(server_key: &[u8]) -> Self {
        let key = derive(server_key, "cache-server sealed secret v1");
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).expect("the key has 32 bytes");
        Self { key: LessSafeKey::new(key) }
    }

    /// Seals a secret, to be opened in the same `context` only.
    ///
    /// # Errors
    ///
    /// If the system has no random bytes.
    pub fn seal(&self, context: &[u8], secret: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)?;
        let mut bytes = Zeroizing::new(secret.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                bytes.as_mut_slice(),
            )
            .expect("a secret is shorter than 256 GiB");
        Ok([&[VERSION], nonce.as_slice(), bytes.as_slice(), tag.as_ref()].concat())
    }

    /// What was sealed; `None` if that was done with another server key, or for another context, or it was changed since.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (&version, rest) = sealed.split_first()?;
        if version != VERSION {
            return None;
        }
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = Zeroizing::new(rest.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, Aad::from(context), bytes.as_mut_slice()).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_the_same_key_and_context_only() {
        let sealer = Sealer::derive(b"server key");
        let sealed = sealer.seal(b"main", b"a secret").unwrap();
        assert_eq!(*sealer.open(b"main", &sealed).unwrap(), b"a secret");
        assert!(Sealer::derive(b"server key").open(b"main", &sealed).is_some());
        assert!(Sealer::derive(b"another key").open(b"main", &sealed).is_none());
        assert!(sealer.open(b"other", &sealed).is_none());
        assert!(sealer.open(b"main", &[]).is_none());
        assert!(sealer.open(b"main", &sealed[..20]).is_none());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer.open(b"main", &changed).is_none(), "byte {index}");
        }
    }

    #[test]
    fn nothing_sealed_shows_the_secret_or_comes_twice() {
        let sealer = Sealer::derive(b"server key");
        let [first, second] = [(); 2].map(|()| sealer.seal(b"", b"a secret").unwrap());
        assert_ne!(first, second);
        assert!(!first.windows(8).any(|bytes| bytes == b"a secret"));
    }
}
