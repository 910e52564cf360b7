use std::fmt;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Since};

/// Adds a signing key to a cache.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddKey {
    /// The name of the cache.
    pub cache: String,
    /// The key as `nix key generate-secret` prints it, `NAME:BASE64`; `None` has the daemon generate one.
    pub secret_key: Option<String>,
}

impl Endpoint for AddKey {
    type Reply = KeyInfo;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/caches/{cache}/keys";
    const SINCE: Since = Since::Workers;
}

impl fmt::Debug for AddKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_secret_key = self.secret_key.is_some();
        f.debug_struct("AddKey")
            .field("cache", &self.cache)
            .field("has_secret_key", &has_secret_key)
            .finish_non_exhaustive()
    }
}

/// Retires a signing key: it no longer signs and is no longer published. Its signatures stay valid, and it stays listed.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetireKey {
    /// The name of the cache.
    pub cache: String,
    /// [`KeyInfo::public_key`] of the key.
    pub public_key: String,
}

impl Endpoint for RetireKey {
    type Reply = RetiredKey;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/caches/{cache}/keys/retire";
    const SINCE: Since = Since::Workers;
}

/// A signing key of a cache, without its secret half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// The name by which Nix knows the key, such as `main.cache.example.org-1`.
    pub name: String,
    /// The public half as `NAME:BASE64`.
    pub public_key: String,
    /// Where the key comes from.
    pub origin: KeyOrigin,
    /// When the daemon first had the key.
    pub created_at: i64,
    /// When the key was retired; `None` while it is in use.
    pub retired_at: Option<i64>,
}

/// Where a signing key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyOrigin {
    /// The daemon generated it.
    Generated,
    /// The operator provided it (`signing-key-file`, or [`AddKey`]).
    File,
    /// A client registered the public half and signs by itself.
    Client,
}

/// A key that was retired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredKey {
    /// The key. In JSON its fields are at the same level as the others.
    #[serde(flatten)]
    pub key: KeyInfo,
    /// What this means for the deploy agents that fetch from the cache. Left out if there are none or nothing changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}
