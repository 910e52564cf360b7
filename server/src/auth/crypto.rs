//! The algorithms that [`jsonwebtoken`] may use: HMAC for tokens of this server, and those of OpenID providers on ring, which TLS uses
//! as well.
//!
//! Its own sets of algorithms bring crates that take minutes to compile or have advisories against them.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::Result;
use jsonwebtoken::{Algorithm, DecodingKey};

use super::{asymmetric, hs256};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: hs256::signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has tokens of this process signed and verified with these algorithms. May be called more than once.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    match algorithm {
        Algorithm::HS256 => hs256::verifier(algorithm, key),
        _ => asymmetric::verifier(*algorithm, key),
    }
}
