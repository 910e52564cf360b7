//! Keys for one purpose each, derived from the server's key.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Derives the key for `purpose`: what is made with it is valid for nothing else. It stays the same as long as the server's
/// key does.
pub fn derive(server_key: &[u8], purpose: &str) -> Zeroizing<[u8; 32]> {
    let derivation = mac(server_key).chain_update(purpose.as_bytes());
    Zeroizing::new(derivation.finalize().into_bytes().into())
}

/// Returns a MAC with a key that is derived for `purpose`.
pub fn derive_mac(server_key: &[u8], purpose: &str) -> Hmac<Sha256> {
    mac(derive(server_key, purpose).as_ref())
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}
