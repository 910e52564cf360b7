use std::fmt;

use serde::{Deserialize, Serialize};

/// A signing key of a cache; never the secret half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// The name that Nix knows the key by, such as `main.cache.example.org-1`.
    pub name: String,
    /// `NAME:BASE64`.
    pub public_key: String,
    /// Where the key comes from.
    pub origin: KeyOrigin,
    /// When the daemon first had the key, in Unix seconds.
    pub created_at: i64,
    /// When the key stopped signing, in Unix seconds; `None` while it signs.
    pub retired_at: Option<i64>,
}

/// Where a signing key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyOrigin {
    /// The daemon made it.
    Generated,
    /// The operator gave it (`signing-key-file`, or [`AddKey`]).
    File,
    /// A client registered its public half and signs by itself.
    Client,
}

/// Asks for a further signing key of a cache.
///
/// Unknown fields are refused: an older daemon must not drop a restriction that it does not know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddKey {
    /// The key as `nix key generate-secret` writes it, `NAME:BASE64`; `None` for one that the daemon makes.
    pub secret_key: Option<String>,
}

impl fmt::Debug for AddKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddKey").field("has_secret_key", &self.secret_key.is_some()).finish_non_exhaustive()
    }
}

/// Asks that a key signs no more and is published no more. Its signatures stay good, and it stays listed.
///
/// Unknown fields are refused: an older daemon must not drop a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetireKey {
    /// [`KeyInfo::public_key`] of the key.
    pub public_key: String,
}

/// A key that was retired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredKey {
    /// The key.
    #[serde(flatten)]
    pub key: KeyInfo,
    /// What this means for the deploy agents that fetch from the cache; `None` if there are none, or nothing changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}
