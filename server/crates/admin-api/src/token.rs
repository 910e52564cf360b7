use std::fmt;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::Endpoint;

/// Lists all tokens, without the tokens themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListTokens {}

impl Endpoint for ListTokens {
    type Reply = Vec<TokenInfo>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/tokens";
}

/// Creates a token for some caches, for all of them, for a workspace, or for a deploy agent.
///
/// Unknown fields are refused, so that an older daemon never ignores a restriction that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// The person or thing that the token is for. It appears in lists and logs.
    pub subject: Option<String>,
    /// The caches that the token opens; empty if and only if the token is for something else.
    pub caches: Vec<String>,
    /// Whether the token opens every cache, including those that are created later.
    pub all: bool,
    /// The deploy workspace that the token is for, with [`Permission::Activate`].
    #[serde(default)]
    pub workspace: Option<String>,
    /// The deploy agent that the token is for, with [`Permission::Agent`].
    #[serde(default)]
    pub agent: Option<String>,
    /// What the token permits.
    pub permission: Permission,
    /// The seconds after which the token expires; `None` for never.
    pub expires_seconds: Option<u64>,
    /// The most bytes that may be pushed with the token on one day (UTC); `None` for no limit. Left out if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_limit: Option<u64>,
}

impl Endpoint for CreateToken {
    type Reply = CreatedToken;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/tokens";
}

/// Revokes a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeToken {
    /// [`TokenInfo::id`] of the token.
    pub id: String,
}

impl Endpoint for RevokeToken {
    type Reply = TokenInfo;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/tokens/{id}/revoke";
}

/// What a token permits. Each of the permissions on caches includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Read paths.
    Read,
    /// Push paths.
    Write,
    /// Change the keys and pins of the cache.
    Admin,
    /// Activate deployments in a workspace.
    Activate,
    /// Act as a deploy agent, and read the cache of its workspace.
    Agent,
}

/// A token that was just created.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedToken {
    /// The id that names the token in lists and revokes it. It is not secret.
    pub id: String,
    /// The token itself. No other reply ever holds it.
    pub token: String,
    /// When the token expires; `None` for never.
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
    /// The id by which [`RevokeToken`] names the token.
    pub id: String,
    /// The person or thing that the token is for.
    pub subject: Option<String>,
    /// The caches that the token opens; empty if it is for something else.
    pub caches: Vec<String>,
    /// Whether the token opens every cache.
    pub all: bool,
    /// The deploy workspace that the token is for.
    #[serde(default)]
    pub workspace: Option<String>,
    /// The deploy agent that the token is for.
    #[serde(default)]
    pub agent: Option<String>,
    /// What the token permits.
    pub permission: Permission,
    /// When the token was created.
    pub created_at: i64,
    /// When the token expires; `None` for never.
    pub expires_at: Option<i64>,
    /// When the token was revoked; `None` if it was not.
    pub revoked_at: Option<i64>,
    /// The most bytes that may be pushed with the token on one day (UTC); `None` for no limit.
    #[serde(default)]
    pub daily_limit: Option<u64>,
}
