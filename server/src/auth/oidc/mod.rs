//! OpenID providers whose tokens open caches, and what those tokens have to prove.
//!
//! | file | what |
//! |---|---|
//! | `token.rs` | the parts of a token, before and after its signature is verified |
//! | `claims.rs` | what every token has to say: for whom, from when, until when |
//! | `rules.rs` | what the claims of a token permit |
//! | `keys.rs` | the public keys of a provider |
//! | `provider.rs` | a provider, and when its keys are fetched again |
//! | `fetch.rs` | requests to providers |
//! | `failures.rs` | how many wrong tokens a client may present |
//!
//! Nothing here knows HTTP of this server, or sessions.

mod claims;
mod failures;
mod fetch;
mod keys;
mod provider;
mod rules;
mod token;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ClientConfig;

pub use self::claims::Verified;
use self::failures::Failures;
use self::fetch::Fetcher;
use self::provider::Provider;
pub use self::rules::{Claims, Decision, evaluate};
use self::token::Unverified;
use super::AuthError;
use crate::config::{AccessRule, Config, OidcProvider};
use crate::limits::connections::Peer;

/// The providers that the configuration trusts.
pub struct Oidc {
    trusted: ArcSwap<Trusted>,
    fetcher: Fetcher,
    failures: Failures,
}

/// What the configuration says.
#[derive(Default)]
struct Trusted {
    providers: Vec<Arc<Provider>>,
    certificates: Vec<AccessRule>,
}

/// Why a token of a provider was refused. For the log: clients learn only that it was.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A claim, a field of the header or the signature is wrong.
    #[error("{part}: {reason}")]
    Wrong {
        /// What is wrong, by its name in the token.
        part: String,
        /// Why.
        reason: String,
    },
    /// The provider does not answer, and its keys are not known.
    #[error("the keys of the provider cannot be fetched")]
    Unavailable,
}

impl Refusal {
    fn wrong(part: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Wrong { part: part.into(), reason: reason.into() }
    }
}

/// Where somebody proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// At the provider of this name.
    Provider(String),
    /// With a certificate.
    Certificate,
}

impl Oidc {
    /// Trusts the providers of the configuration. Nothing is fetched yet. HTTPS has the settings `https`.
    pub fn new(config: &Config, https: ClientConfig) -> Self {
        let oidc =
            Self { trusted: ArcSwap::default(), fetcher: Fetcher::new(https), failures: Failures::default() };
        oidc.set_config(config);
        oidc
    }

    /// Trusts those of this configuration from now on. Keys of providers that stay are kept.
    pub fn set_config(&self, config: &Config) {
        let before = self.trusted.load();
        let provider = |config: &OidcProvider| {
            let known = before.providers.iter().find(|known| known.has_keys_of(config));
            Arc::new(match known {
                Some(known) => known.with_config(config.clone()),
                None => Provider::new(config.clone()),
            })
        };
        let providers = config.oidc.iter().map(provider).collect();
        self.trusted.store(Arc::new(Trusted { providers, certificates: config.client_certificates.clone() }));
    }

    /// Whether any provider or certificate is trusted.
    pub fn is_configured(&self) -> bool {
        let trusted = self.trusted.load();
        !trusted.providers.is_empty() || !trusted.certificates.is_empty()
    }

    /// Whether the text is a token that claims to be of a provider that is trusted. Verifies nothing.
    pub fn is_candidate(&self, token: &str) -> bool {
        Unverified::parse(token).is_ok_and(|token| self.find_provider(&token).is_some())
    }

    /// Verifies a token of a provider. `client` is the one who presents it, unless that is this machine.
    ///
    /// # Errors
    ///
    /// That it is refused; the reason is in the log.
    pub async fn verify(&self, token: &str, client: Option<Peer>) -> Result<Verified, AuthError> {
        let unverified = Unverified::parse(token).map_err(|_| AuthError::Invalid)?;
        let provider = self.find_provider(&unverified).ok_or(AuthError::Invalid)?;
        // Before any signature is checked: that is what costs something.
        if !self.failures.may_try(client) {
            return Err(AuthError::TooManyFailures);
        }
        let name = provider.config.name.to_string();
        match provider.verify(&unverified, token, &self.fetcher).await {
            Ok(verified) => Ok(verified),
            Err(Refusal::Unavailable) => {
                tracing::warn!(
                    provider = name,
                    "a token cannot be verified: the keys of its OpenID provider are not known"
                );
                Err(AuthError::Unavailable)
            }
            Err(Refusal::Wrong { part, reason }) => {
                // What the provider itself has signed costs it as much as it does this server.
                if matches!(part.as_str(), "signature" | "kid") {
                    self.failures.note(client);
                }
                tracing::warn!(
                    provider = name,
                    claim = part,
                    reason,
                    "refused a token of an OpenID provider"
                );
                Err(AuthError::Invalid)
            }
        }
    }

    /// What the claims permit by the rules that are in force, and for how long. `None` if nothing.
    pub fn decide(&self, origin: &Origin, claims: &Claims) -> Option<Decision> {
        let trusted = self.trusted.load();
        match origin {
            Origin::Certificate => evaluate(&trusted.certificates, claims),
            Origin::Provider(name) => {
                let provider =
                    trusted.providers.iter().find(|provider| provider.config.name.as_str() == name)?;
                evaluate(&provider.config.rules, claims)
            }
        }
        .ok()
    }

    fn find_provider(&self, token: &Unverified) -> Option<Arc<Provider>> {
        let issuer = token.issuer()?;
        self.trusted.load().providers.iter().find(|provider| provider.config.issuer == issuer).cloned()
    }
}

#[cfg(test)]
mod tests;
