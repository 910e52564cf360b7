//! Tokens: JSON Web Tokens signed with HMAC-SHA-256, each with a row in the catalog so that it can be listed and revoked.

use std::collections::HashMap;

use catalog::{Catalog, CatalogError, TokenCaches, TokenPermission, TokenRecord, TokenScope, UnixTime};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::sync::watch;
use uuid::Uuid;

use super::{AuthError, Grant, hs256};
use crate::derived_key::derive_mac;

/// The `aud` claim, so that a token of another service that happens to share the key is none of ours.
const AUDIENCE: &str = "cache-server";

/// The latest time at which a token may end, in seconds: the last second of the year 9999, which every calendar can show.
const LATEST_END: i64 = 253_402_300_799;

/// The claims of a token. The grant is part of what is signed; the catalog row only adds expiry, revocation and which of the
/// caches were deleted, so an edited row can take rights away but never add any.
#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    sub: String,
    jti: Uuid,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// `None` for every cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    caches: Option<Vec<String>>,
    /// The agent, for the permission `agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    /// The workspace, for the permission `activate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    permission: String,
}

/// The permission of an agent's token.
const AGENT: &str = "agent";
/// The permission of a token for activating deployments.
const ACTIVATE: &str = "activate";

impl Claims {
    fn of(record: &TokenRecord) -> Self {
        let (caches, agent, workspace, permission) = match &record.scope {
            TokenScope::Caches { caches: TokenCaches::All, permission } => {
                (None, None, None, permission.as_str())
            }
            TokenScope::Caches { caches: TokenCaches::Only(names), permission } => {
                (Some(names.clone()), None, None, permission.as_str())
            }
            // No caches at all, for a version of this program that knows no agents.
            TokenScope::Agent(name) => (Some(Vec::new()), Some(name.clone()), None, AGENT),
            TokenScope::Activate(name) => (Some(Vec::new()), None, Some(name.clone()), ACTIVATE),
        };
        Self {
            aud: AUDIENCE.to_owned(),
            sub: record.subject.clone(),
            jti: record.id,
            iat: record.created_at.0,
            exp: record.expires_at.map(|time| time.0),
            caches,
            agent,
            workspace,
            permission: permission.to_owned(),
        }
    }

    fn into_scope(self) -> Option<TokenScope> {
        match self.permission.as_str() {
            AGENT => self.agent.map(TokenScope::Agent),
            ACTIVATE => self.workspace.map(TokenScope::Activate),
            other => {
                let permission = TokenPermission::from_text(other)?;
                let caches = self.caches.map_or(TokenCaches::All, TokenCaches::Only);
                Some(TokenScope::Caches { caches, permission })
            }
        }
    }
}

/// What a new token shall be.
pub struct NewToken {
    /// Whom or what it is for, for people who read the list.
    pub subject: String,
    /// What it is good for.
    pub scope: TokenScope,
    /// When it ends; `None` for never.
    pub expires_at: Option<UnixTime>,
    /// The most bytes that may be pushed with it on one day.
    pub daily_limit: Option<u64>,
}

/// A token that was just made. Its text is not kept anywhere.
pub struct IssuedToken {
    /// The catalog's record of it.
    pub record: TokenRecord,
    /// The text to hand to the client.
    pub token: String,
}

/// Issues, verifies and revokes tokens.
pub struct Tokens {
    catalog: Catalog,
    key: RwLock<Key>,
    validation: Validation,
    /// Every row of the token table, so that verifying takes no query.
    records: RwLock<HashMap<Uuid, TokenRecord>>,
    /// Told whenever a token may have been revoked.
    revoked: watch::Sender<()>,
}

struct Key {
    /// Counts the keys since the start.
    number: u64,
    /// Hashes the secrets of sessions.
    sessions: Hmac<Sha256>,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Key {
    fn new(secret: &[u8], number: u64) -> Self {
        let (encoding, decoding) = (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret));
        Self { number, sessions: derive_mac(secret, "sessions of web pages"), encoding, decoding }
    }
}

/// A token that was verified, for [`Tokens::is_good`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRef {
    id: Uuid,
    /// The number of the key that it is signed with.
    key: u64,
    /// The most bytes that may be pushed with it on one day.
    daily_limit: Option<u64>,
}

impl TokenRef {
    /// The id under which the token is listed and revoked.
    pub fn id(self) -> Uuid {
        self.id
    }

    /// The most bytes that may be pushed with it on one day.
    pub fn daily_limit(self) -> Option<u64> {
        self.daily_limit
    }
}

impl Tokens {
    /// Loads the token table. `key` is the secret of `server.key`.
    pub async fn load(catalog: Catalog, key: &[u8]) -> Result<Self, CatalogError> {
        let records = catalog.tokens().await?.into_iter().map(|record| (record.id, record)).collect();
        hs256::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "sub"]);
        // That goes by the system clock, which may have been set back.
        validation.validate_exp = false;
        validation.validate_nbf = true;
        validation.leeway = 0;
        Ok(Self {
            catalog,
            key: RwLock::new(Key::new(key, 0)),
            validation,
            records: RwLock::new(records),
            revoked: watch::Sender::new(()),
        })
    }

    /// From now on tokens are signed with `key`; those that were signed with another one are void.
    pub fn replace_key(&self, key: &[u8]) {
        let mut current = self.key.write();
        *current = Key::new(key, current.number + 1);
        drop(current);
        self.revoked.send_replace(());
    }

    /// Makes a token and records it.
    pub async fn issue(&self, new: NewToken) -> Result<IssuedToken, CatalogError> {
        let record = TokenRecord {
            id: Uuid::new_v4(),
            subject: new.subject,
            scope: new.scope,
            created_at: UnixTime::now(),
            expires_at: new.expires_at,
            revoked_at: None,
            daily_limit: new.daily_limit,
        };
        let claims = Claims::of(&record);
        let token = {
            let key = self.key.read();
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key.encoding)
                .expect("claims of strings and numbers always encode")
        };
        self.catalog.insert_token(record.clone()).await?;
        self.remember(record.clone());
        Ok(IssuedToken { record, token })
    }

    /// What `token` permits, if it is one of ours, still valid and not revoked.
    pub fn verify(&self, token: &str) -> Result<Grant, AuthError> {
        let key = self.key.read();
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.decoding, &self.validation);
        let claims = decoded.map_err(|_| AuthError::Invalid)?.claims;
        if claims.exp.is_some_and(|end| end <= UnixTime::now().0) {
            return Err(AuthError::Expired);
        }
        if claims.exp.is_some_and(|end| end > LATEST_END) {
            return Err(AuthError::Invalid);
        }
        let records = self.records.read();
        let record = records.get(&claims.jti).ok_or(AuthError::Invalid)?;
        if record.revoked_at.is_some() {
            return Err(AuthError::Revoked);
        }
        let token = TokenRef { id: claims.jti, key: key.number, daily_limit: record.daily_limit };
        let mut scope = claims.into_scope().ok_or(AuthError::Invalid)?;
        if let TokenScope::Caches { caches: TokenCaches::Only(names), .. } = &mut scope
            && let TokenScope::Caches { caches: TokenCaches::Only(left), .. } = &record.scope
        {
            names.retain(|name| left.contains(name));
        }
        Ok(Grant { token, scope })
    }

    /// The id under which the session with this secret is recorded. Another server key makes other ids, so it ends all sessions, as
    /// it makes all tokens void.
    pub fn session_id(&self, secret: &[u8]) -> [u8; 32] {
        self.key.read().sessions.clone().chain_update(secret).finalize().into_bytes().into()
    }

    /// What the token with this id permits, for a session that began with it; `None` if it has expired or was revoked.
    pub fn grant_of(&self, id: Uuid) -> Option<Grant> {
        let key = self.key.read().number;
        let records = self.records.read();
        let record = records.get(&id)?;
        let token = TokenRef { id, key, daily_limit: record.daily_limit };
        let scope = record.scope.clone();
        drop(records);
        self.may_continue(token).then_some(Grant { token, scope })
    }

    /// Whether a token that was verified before is still good.
    pub fn is_good(&self, token: TokenRef) -> bool {
        if token.key != self.key.read().number {
            return false;
        }
        self.may_continue(token)
    }

    /// Whether what was begun with a token may go on: it was neither revoked nor has it expired. Another key for tokens
    /// does not end what is under way.
    pub fn may_continue(&self, token: TokenRef) -> bool {
        let records = self.records.read();
        records.get(&token.id).is_some_and(|record| {
            record.revoked_at.is_none() && record.expires_at.is_none_or(|end| end > UnixTime::now())
        })
    }

    /// Changes whenever a token may have been revoked.
    pub fn watch_revoked(&self) -> watch::Receiver<()> {
        self.revoked.subscribe()
    }

    /// Revokes the token with this id. `None` when there is no such token.
    pub async fn revoke(&self, id: Uuid) -> Result<Option<TokenRecord>, CatalogError> {
        let Some(mut record) = self.find(id) else { return Ok(None) };
        if record.revoked_at.is_none() {
            self.catalog.revoke_token(id).await?;
            record.revoked_at = Some(UnixTime::now());
            self.remember(record.clone());
            self.revoked.send_replace(());
        }
        Ok(Some(record))
    }

    /// Every token ever issued, oldest first.
    pub fn list(&self) -> Vec<TokenRecord> {
        let records = self.records.read();
        let mut list: Vec<_> = records.values().cloned().collect();
        list.sort_by_key(|record| (record.created_at, record.id));
        list
    }

    /// Reads the token table again, which another daemon has changed. What was issued or revoked here meanwhile stays.
    pub async fn reload(&self) -> Result<(), CatalogError> {
        let loaded = self.catalog.tokens().await?;
        let mut records = self.records.write();
        for mut record in loaded {
            let known = records.get(&record.id);
            record.revoked_at = record.revoked_at.or(known.and_then(|known| known.revoked_at));
            records.insert(record.id, record);
        }
        drop(records);
        self.revoked.send_replace(());
        Ok(())
    }

    /// Whether a token that was verified before has the permission `admin` on the cache.
    pub fn administers(&self, token: TokenRef, cache: &str) -> bool {
        let records = self.records.read();
        let Some(record) = records.get(&token.id) else { return false };
        let grant = Grant { token, scope: record.scope.clone() };
        grant.permission_on(cache) == Some(TokenPermission::Admin)
    }

    /// What the token with this id is for, as the operator said; `None` if that is nothing, or there is no such token.
    pub fn subject_of(&self, id: Uuid) -> Option<String> {
        let records = self.records.read();
        records.get(&id).map(|record| record.subject.clone()).filter(|subject| !subject.is_empty())
    }

    fn find(&self, id: Uuid) -> Option<TokenRecord> {
        self.records.read().get(&id).cloned()
    }

    fn remember(&self, record: TokenRecord) {
        self.records.write().insert(record.id, record);
    }
}
