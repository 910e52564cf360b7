//! The public keys of a provider (RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use crate::config::OidcAlgorithm;

/// Most keys of a provider that are looked at.
const MOST: usize = 100;

/// The keys of a provider.
#[derive(Default)]
pub struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    /// The only algorithm that it is for, if the provider says so.
    algorithm: Option<String>,
    kind: Kind,
    key: DecodingKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads the document of a provider. Keys that nothing here can use are left out. `None` if it is no such document.
    pub fn parse(document: &[u8]) -> Option<Self> {
        let Document { keys } = serde_json::from_slice(document).ok()?;
        Some(Self(keys.into_iter().take(MOST).filter_map(Key::parse).collect()))
    }

    /// Finds the key for a token with this `kid`. Without one, the only key that fits.
    pub fn find(&self, id: Option<&str>, algorithm: OidcAlgorithm) -> Option<&DecodingKey> {
        let mut fitting = self.0.iter().filter(|key| key.is_for(algorithm));
        let found = match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id))?,
            None => {
                let first = fitting.next()?;
                if fitting.next().is_some() {
                    return None;
                }
                first
            }
        };
        Some(&found.key)
    }

    /// Whether there is a key of this name, for whatever algorithm.
    pub fn has(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.0.iter().any(|key| key.id.as_deref() == Some(id)))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Key {
    fn parse(value: Value) -> Option<Self> {
        let algorithm = value.get("alg").and_then(Value::as_str).map(str::to_owned);
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
            return None;
        }
        // Never the symmetric kind: a provider has no secret in common with this server.
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Kind::Rsa,
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => Kind::P256,
                EllipticCurve::P384 => Kind::P384,
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Kind::Ed25519,
            _ => return None,
        };
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, algorithm, kind, key })
    }

    fn is_for(&self, algorithm: OidcAlgorithm) -> bool {
        let kind = match algorithm {
            OidcAlgorithm::Es256 => Kind::P256,
            OidcAlgorithm::Es384 => Kind::P384,
            OidcAlgorithm::EdDsa => Kind::Ed25519,
            _ => Kind::Rsa,
        };
        self.kind == kind && self.algorithm.as_deref().is_none_or(|only| only == algorithm.as_str())
    }
}

/// The algorithm as the library names it.
pub fn library_algorithm(algorithm: OidcAlgorithm) -> Algorithm {
    match algorithm {
        OidcAlgorithm::Rs256 => Algorithm::RS256,
        OidcAlgorithm::Rs384 => Algorithm::RS384,
        OidcAlgorithm::Rs512 => Algorithm::RS512,
        OidcAlgorithm::Ps256 => Algorithm::PS256,
        OidcAlgorithm::Ps384 => Algorithm::PS384,
        OidcAlgorithm::Ps512 => Algorithm::PS512,
        OidcAlgorithm::Es256 => Algorithm::ES256,
        OidcAlgorithm::Es384 => Algorithm::ES384,
        OidcAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}
