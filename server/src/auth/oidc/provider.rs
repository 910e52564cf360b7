//! A provider, and when its keys are fetched.
//!
//! Keys are fetched when the first token arrives, again in the background once they are an hour old, and at once for a token whose
//! key is not among them. Anybody can make up such a token, so that happens only now and then. While the provider does not answer, the
//! keys that are known stay good for a day.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::UnixTime;
use jsonwebtoken::Validation;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::timeout;

use super::fetch::{FetchError, Fetcher};
use super::keys::{KeySet, library_algorithm};
use super::rules::{asked_for, evaluate};
use super::token::Unverified;
use super::{Refusal, Verified, claims};
use crate::chain::chain;
use crate::config::OidcProvider;

/// Age at which keys are fetched again.
const FRESH: Duration = Duration::from_secs(3600);
/// Age at which keys are not used any more.
const USABLE: Duration = Duration::from_secs(86_400);
/// Fetches that may follow each other, and the pause after which another one is earned.
const FETCHES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(30);
/// How long a request waits for keys.
const PATIENCE: Duration = Duration::from_secs(12);

/// A provider that is trusted.
pub struct Provider {
    pub(super) config: OidcProvider,
    keys: Arc<Keys>,
}

struct Keys {
    state: Mutex<State>,
    /// Held while keys are fetched, so that all who need them wait for the same answer.
    fetching: tokio::sync::Mutex<()>,
}

struct State {
    known: Option<(Arc<KeySet>, Instant)>,
    /// Counts the fetches that succeeded.
    version: u64,
    /// Fetches that may be begun at once.
    budget: u32,
    /// When the budget was last filled up.
    earned: Instant,
}

/// What a provider says about itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Provider {
    pub(super) fn new(config: OidcProvider) -> Self {
        let state = State { known: None, version: 0, budget: FETCHES, earned: Instant::now() };
        let keys = Keys { state: Mutex::new(state), fetching: tokio::sync::Mutex::new(()) };
        Self { config, keys: Arc::new(keys) }
    }

    /// A provider whose keys were fetched just now.
    #[cfg(test)]
    pub(super) fn with_keys(config: OidcProvider, keys: KeySet) -> Self {
        let provider = Self::new(config);
        provider.keys.state.lock().known = Some((Arc::new(keys), Instant::now()));
        provider
    }

    /// Whether the keys of this provider are those of that configuration as well.
    pub(super) fn has_keys_of(&self, config: &OidcProvider) -> bool {
        self.config.issuer == config.issuer && self.config.jwks_url == config.jwks_url
    }

    /// The same provider, with its keys, under another configuration.
    pub(super) fn with_config(&self, config: OidcProvider) -> Self {
        Self { config, keys: self.keys.clone() }
    }

    /// Verifies a token that claims to be of this provider.
    pub(super) async fn verify(
        self: &Arc<Self>,
        token: &Unverified,
        text: &str,
        fetcher: &Fetcher,
    ) -> Result<Verified, Refusal> {
        let header = &token.header;
        let accepted = self.config.accepted_algorithms();
        let algorithm = accepted.iter().copied().find(|accepted| accepted.as_str() == header.alg);
        let algorithm = algorithm.ok_or_else(|| Refusal::wrong("alg", "it is not among `algorithms`"))?;
        if header.crit.is_some() {
            return Err(Refusal::wrong("crit", "extensions are not supported"));
        }
        claims::check_type(header.typ.as_deref())?;
        // What is wrong anyway needs no key.
        claims::check(&token.claims, &self.config.audiences, UnixTime::now())?;
        let keys = self.keys_with(header.kid.as_deref(), fetcher).await?;
        let key = keys
            .find(header.kid.as_deref(), algorithm)
            .ok_or_else(|| Refusal::wrong("kid", "the provider has no such key for this algorithm"))?;
        let mut validation = Validation::new(library_algorithm(algorithm));
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        // The claims were checked above; they are the same bytes.
        jsonwebtoken::decode::<serde::de::IgnoredAny>(text, key, &validation)
            .map_err(|_| Refusal::wrong("signature", "it is not that of the provider"))?;
        self.judge(token, text)
    }

    /// What a token permits whose signature is right.
    fn judge(&self, token: &Unverified, text: &str) -> Result<Verified, Refusal> {
        let ends = claims::check(&token.claims, &self.config.audiences, UnixTime::now())?;
        let asked_for = asked_for(&self.config.rules, &token.claims);
        let decision = evaluate(&self.config.rules, &asked_for)
            .map_err(|(claim, reason)| Refusal::wrong(claim, reason))?;
        let text_of =
            |claim: &str| token.claims.get(claim).and_then(|value| value.as_str()).map(str::to_owned);
        Ok(Verified {
            provider: self.config.name.to_string(),
            subject: text_of("sub").unwrap_or_default(),
            claims: asked_for,
            decision,
            unique: text_of("jti").filter(|id| !id.is_empty()).unwrap_or_else(|| text.to_owned()),
            ends,
        })
    }

    /// The keys, with the one of this name among them if the provider has it.
    async fn keys_with(
        self: &Arc<Self>,
        id: Option<&str>,
        fetcher: &Fetcher,
    ) -> Result<Arc<KeySet>, Refusal> {
        let (known, version) = {
            let state = self.keys.state.lock();
            (state.known.clone(), state.version)
        };
        let usable = known.filter(|(_, since)| since.elapsed() < USABLE);
        if let Some((keys, since)) = &usable
            && keys.has(id)
        {
            if since.elapsed() >= FRESH && self.keys.take_budget() {
                let (provider, fetcher) = (self.clone(), fetcher.clone());
                tokio::spawn(async move { provider.fetch(&fetcher, version).await });
            }
            return Ok(keys.clone());
        }
        if self.keys.fetching.try_lock().is_err() || self.keys.take_budget() {
            // Others wait for this fetch as well; if it ended meanwhile, there is nothing to do.
            let _ = timeout(PATIENCE, self.fetch(fetcher, version)).await;
        }
        let now = self.keys.state.lock().known.clone();
        match now.or(usable) {
            Some((keys, since)) if since.elapsed() < USABLE => Ok(keys),
            _ => Err(Refusal::Unavailable),
        }
    }

    /// Fetches the keys, unless somebody has done so since `version`.
    async fn fetch(&self, fetcher: &Fetcher, version: u64) {
        let _one_at_a_time = self.keys.fetching.lock().await;
        if self.keys.state.lock().version != version {
            return;
        }
        match self.ask(fetcher).await {
            Ok(keys) => {
                tracing::info!(provider = %self.config.name, keys = keys.len(), "fetched the keys of an OpenID provider");
                let mut state = self.keys.state.lock();
                state.known = Some((Arc::new(keys), Instant::now()));
                state.version += 1;
            }
            Err(error) => {
                tracing::warn!(provider = %self.config.name, error = %chain(&error), "cannot fetch the keys of an OpenID provider");
            }
        }
    }

    async fn ask(&self, fetcher: &Fetcher) -> Result<KeySet, FetchError> {
        let url = match &self.config.jwks_url {
            Some(url) => url.to_string(),
            None => {
                let issuer = self.config.issuer.trim_end_matches('/');
                let document = fetcher.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
                let Discovery { issuer, jwks_uri } =
                    serde_json::from_slice(&document).map_err(|_| FetchError::Document("configuration"))?;
                if issuer != self.config.issuer {
                    return Err(FetchError::Issuer(issuer.chars().take(200).collect()));
                }
                jwks_uri
            }
        };
        KeySet::parse(&fetcher.get(&url).await?).ok_or(FetchError::Document("keys"))
    }
}

impl Keys {
    /// Whether keys may be fetched now.
    fn take_budget(&self) -> bool {
        let mut state = self.state.lock();
        let earned = u32::try_from(state.earned.elapsed().as_secs() / PAUSE.as_secs()).unwrap_or(FETCHES);
        if earned > 0 {
            state.budget = state.budget.saturating_add(earned).min(FETCHES);
            state.earned = Instant::now();
        }
        let may = state.budget > 0;
        state.budget = state.budget.saturating_sub(1);
        may
    }
}
