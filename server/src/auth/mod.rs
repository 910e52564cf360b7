//! Who may do what: tokens, what they permit, and the credentials that carry them.
//!
//! Nothing here knows HTTP beyond the text of an `Authorization` header.

mod credential;
mod token;

pub use credential::Credential;
pub use token::{IssuedToken, NewToken, Tokens};

use catalog::{TokenCaches, TokenPermission};

/// What a verified token permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Caches it is valid for.
    pub caches: TokenCaches,
    /// The most it permits there.
    pub permission: TokenPermission,
}

impl Grant {
    /// Whether it permits `needed` on the cache called `cache`.
    pub fn permits(&self, cache: &str, needed: TokenPermission) -> bool {
        let covered = match &self.caches {
            TokenCaches::All => true,
            TokenCaches::Only(names) => names.iter().any(|name| name == cache),
        };
        covered && self.permission >= needed
    }
}

/// Why a credential was refused. The text is shown to the client: it names no secret and no internal.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
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
    /// A good token for something else.
    #[error("the auth token does not permit {needed} on cache `{cache}`")]
    NotPermitted {
        /// The cache that was asked for.
        cache: String,
        /// `read`, `write` or `admin`.
        needed: &'static str,
    },
}
