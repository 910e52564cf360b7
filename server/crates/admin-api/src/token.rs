use std::fmt;

use serde::{Deserialize, Serialize};

/// Asks for a token.
///
/// Unknown fields are refused: an older daemon must not drop a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// Whom or what the token is for; shown in lists and logs.
    pub subject: Option<String>,
    /// The caches it opens; empty if and only if something else is named.
    pub caches: Vec<String>,
    /// Whether it opens every cache, also those that do not exist yet.
    pub all: bool,
    /// The deploy workspace it is for, with [`Permission::Activate`].
    #[serde(default)]
    pub workspace: Option<String>,
    /// The deploy agent it is for, with [`Permission::Agent`].
    #[serde(default)]
    pub agent: Option<String>,
    /// What it permits.
    pub permission: Permission,
    /// After how many seconds it expires; `None` for never.
    pub expires_seconds: Option<u64>,
}

/// What a token permits. Of those on caches, each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Read paths.
    Read,
    /// Push paths.
    Write,
    /// Change the cache itself: its keys and pins.
    Admin,
    /// Activate deployments in a workspace.
    Activate,
    /// Be a deploy agent, and read the cache of its workspace.
    Agent,
}

/// A token that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedToken {
    /// Names the token in lists and for revoking; not secret.
    pub id: String,
    /// The token itself. It is told this once and never again.
    pub token: String,
    /// When it expires, in Unix seconds; `None` for never.
    pub expires_at: Option<i64>,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedToken")
            .field("id", &self.id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A token as lists show it, without the token itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// The id to revoke it by.
    pub id: String,
    /// Whom or what it is for.
    pub subject: Option<String>,
    /// The caches it opens; empty when something else is named.
    pub caches: Vec<String>,
    /// Whether it opens every cache.
    pub all: bool,
    /// The deploy workspace it is for.
    #[serde(default)]
    pub workspace: Option<String>,
    /// The deploy agent it is for.
    #[serde(default)]
    pub agent: Option<String>,
    /// What it permits.
    pub permission: Permission,
    /// When it was made, in Unix seconds.
    pub created_at: i64,
    /// When it expires, in Unix seconds; `None` for never.
    pub expires_at: Option<i64>,
    /// When it was revoked, in Unix seconds; `None` while it is good.
    pub revoked_at: Option<i64>,
}
