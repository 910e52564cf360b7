//! Who may do what: tokens, what they permit, and the credentials that carry them.
//!
//! Nothing here knows HTTP beyond the text of an `Authorization` header.

mod asymmetric;
mod credential;
mod crypto;
mod hs256;
mod oidc;
mod presented;
mod session;
mod token;
mod void;

pub use credential::Credential;
pub use presented::{Exchanged, Preparation};
pub use session::Session;
pub use token::{IssuedToken, NewToken, TokenRef, Tokens};
pub use void::count_void_tokens;

use catalog::{TokenCaches, TokenPermission, TokenScope};

use crate::counters::labels::TokenRefusal;

/// What a verified token permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The token.
    pub token: TokenRef,
    /// What it is good for.
    pub scope: TokenScope,
}

impl Grant {
    /// The most it permits on the cache called `cache`, as a token for caches.
    pub fn permission_on(&self, cache: &str) -> Option<TokenPermission> {
        let TokenScope::Caches { caches, permission } = &self.scope else { return None };
        let covered = match caches {
            TokenCaches::All => true,
            TokenCaches::Only(names) => names.iter().any(|name| name == cache),
        };
        covered.then_some(*permission)
    }
}

/// Why a credential was refused. The text is shown to the client: it names no secret and no internal.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthError {
    /// Nothing was presented where something is needed.
    #[error("this needs an auth token: set one with `cachix authtoken` or in your netrc file")]
    Missing,
    /// Not a token of this server, damaged, or made with another key.
    #[error("the auth token is not valid on this server")]
    Invalid,
    /// Its time is over.
    #[error("the auth token has expired: ask for a new one")]
    Expired,
    /// It was revoked.
    #[error("the auth token has been revoked: ask for a new one")]
    Revoked,
    /// Whether it is good cannot be found out now.
    #[error("the auth token cannot be verified at the moment: try again later")]
    Unavailable,
    /// The client has presented too many wrong tokens.
    #[error("too many wrong auth tokens: try again in a minute")]
    TooManyFailures,
    /// A good token for something else.
    #[error("the auth token does not permit {needed} on cache `{cache}`")]
    NotPermitted {
        /// The cache that was asked for.
        cache: String,
        /// `read`, `write` or `admin`.
        needed: &'static str,
    },
    /// A good token, but not that of a deploy agent.
    #[error("this needs the token of a deploy agent: `cachectl agent token NAME` makes one")]
    NotOfAgent,
    /// The token of one agent in the hands of another.
    #[error("the auth token is that of the agent `{token_of}`, not of `{name}`")]
    OfAnotherAgent {
        /// Whose token it is.
        token_of: String,
        /// Who came with it.
        name: String,
    },
    /// The token of an agent that the configuration does not name.
    #[error("there is no agent `{0}` on this server")]
    UndeclaredAgent(String),
    /// A good token, but not one for activating deployments.
    #[error(
        "this needs an activate token: `cachectl token create --workspace NAME --permission activate` makes one"
    )]
    NotActivating,
    /// An activate token of a workspace that the configuration does not name.
    #[error("there is no workspace `{0}` on this server")]
    UndeclaredWorkspace(String),
}

impl AuthError {
    /// The reason under which it is counted.
    pub fn reason(&self) -> TokenRefusal {
        match self {
            Self::Missing => TokenRefusal::Missing,
            Self::Invalid => TokenRefusal::Invalid,
            Self::Expired => TokenRefusal::Expired,
            Self::Revoked => TokenRefusal::Revoked,
            Self::Unavailable => TokenRefusal::Unverifiable,
            Self::TooManyFailures => TokenRefusal::Throttled,
            Self::NotPermitted { .. }
            | Self::NotOfAgent
            | Self::OfAnotherAgent { .. }
            | Self::UndeclaredAgent(_)
            | Self::NotActivating
            | Self::UndeclaredWorkspace(_) => TokenRefusal::NotPermitted,
        }
    }
}
