//! Tokens: JSON Web Tokens signed with HMAC-SHA-256, each with a row in the catalog so that it can be listed and revoked.

use std::collections::HashMap;

use catalog::{
    Catalog, CatalogError, SessionRecord, TokenCaches, TokenPermission, TokenRecord, TokenScope, UnixTime,
};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::sync::watch;
use uuid::Uuid;

use super::oidc::Oidc;
use super::presented::Doubts;
use super::session::{Session, Sessions};
use super::{AuthError, Grant, crypto, session};
use crate::config::Config;
use crate::derived_key::derive_mac;

/// The `aud` claim, so that a token of another service that happens to share the key is none of ours.
const AUDIENCE: &str = "cache-server";

/// The type in the header of tokens of sessions, which tells them from others before anything is verified.
pub(super) const SESSION_TYPE: &str = "session+jwt";

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
    /// Whether `jti` is the id of a session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    session: bool,
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
            session: false,
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
    pub(super) catalog: Catalog,
    /// The OpenID providers that are trusted.
    pub(super) oidc: Oidc,
    /// Those who have no token of this server.
    pub(super) sessions: Sessions,
    /// Tokens that could not be verified a moment ago.
    pub(super) doubts: Doubts,
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
    /// Loads the token table. `key` is the secret of `server.key`. OpenID providers are asked by HTTPS with the settings `https`.
    pub async fn load(
        catalog: Catalog,
        key: &[u8],
        config: &Config,
        https: ClientConfig,
    ) -> Result<Self, CatalogError> {
        let records = catalog.tokens().await?.into_iter().map(|record| (record.id, record)).collect();
        crypto::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "sub"]);
        // That goes by the system clock, which may have been set back.
        validation.validate_exp = false;
        validation.validate_nbf = true;
        validation.leeway = 0;
        Ok(Self {
            catalog,
            oidc: Oidc::new(config, https),
            sessions: Sessions::default(),
            doubts: Doubts::default(),
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
        let claims = decoded.map_err(|_| self.doubts.about(token).unwrap_or(AuthError::Invalid))?.claims;
        if claims.exp.is_some_and(|end| end <= UnixTime::now().0) {
            return Err(AuthError::Expired);
        }
        if claims.exp.is_some_and(|end| end > LATEST_END) {
            return Err(AuthError::Invalid);
        }
        if claims.session {
            return self.verify_session(claims, key.number, token);
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

    /// What a token of a session permits: what the session does, and no more than was signed.
    fn verify_session(&self, claims: Claims, key: u64, token: &str) -> Result<Grant, AuthError> {
        let unknown = || self.doubts.about(token).unwrap_or(AuthError::Invalid);
        let session = self.sessions.find(claims.jti).ok_or_else(unknown)?;
        if session.record.revoked_at.is_some() {
            return Err(AuthError::Revoked);
        }
        let token = TokenRef { id: claims.jti, key, daily_limit: None };
        let signed = claims.into_scope().ok_or(AuthError::Invalid)?;
        Ok(Grant { token, scope: session.scope_within(&signed) })
    }

    /// Signs a token of a session that ends then.
    pub(super) fn sign_session(&self, session: &SessionRecord, ends: UnixTime) -> String {
        let scope = TokenScope::Caches {
            caches: TokenCaches::Only(session.caches.clone()),
            permission: session.permission,
        };
        let record = TokenRecord {
            id: session.id,
            subject: session.subject.clone(),
            scope,
            created_at: UnixTime::now(),
            expires_at: Some(ends),
            revoked_at: None,
            daily_limit: None,
        };
        let claims = Claims { session: true, ..Claims::of(&record) };
        let header = Header { typ: Some(SESSION_TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &self.key.read().encoding)
            .expect("claims of strings and numbers always encode")
    }

    /// The session that a token of ours is for, if its signature is right and it has not ended.
    pub(super) fn session_of_token(&self, token: &str) -> Option<Uuid> {
        let key = self.key.read();
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &self.validation).ok()?.claims;
        let has_ended = claims.exp.is_none_or(|end| end <= UnixTime::now().0);
        (claims.session && !has_ended).then_some(claims.jti)
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
        match records.get(&token.id) {
            Some(record) => {
                record.revoked_at.is_none() && record.expires_at.is_none_or(|end| end > UnixTime::now())
            }
            None => self.sessions.find(token.id).is_some_and(|session| session.is_good()),
        }
    }

    /// Changes whenever a token may have been revoked.
    pub fn watch_revoked(&self) -> watch::Receiver<()> {
        self.revoked.subscribe()
    }

    /// Revokes the token with this id. `None` when there is no such token.
    pub async fn revoke(&self, id: Uuid) -> Result<Option<TokenRecord>, CatalogError> {
        let Some(mut record) = self.find(id) else { return self.revoke_session(id).await };
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
        let sessions = self.catalog.sessions_after(UnixTime::now()).await?;
        let mut records = self.records.write();
        for mut record in loaded {
            let known = records.get(&record.id);
            record.revoked_at = record.revoked_at.or(known.and_then(|known| known.revoked_at));
            records.insert(record.id, record);
        }
        drop(records);
        self.sessions.update(sessions);
        self.revoked.send_replace(());
        Ok(())
    }

    async fn revoke_session(&self, id: Uuid) -> Result<Option<TokenRecord>, CatalogError> {
        let Some(session) = self.catalog.find_session(id).await? else { return Ok(None) };
        self.catalog.revoke_session(id).await?;
        self.sessions.revoke(id);
        self.revoked.send_replace(());
        let revoked_at = session.revoked_at.or(Some(UnixTime::now()));
        Ok(Some(TokenRecord { revoked_at, ..session::as_token(&session) }))
    }

    /// The sessions that have not ended, as tokens, oldest first.
    pub async fn list_sessions(&self) -> Result<Vec<TokenRecord>, CatalogError> {
        let sessions = self.catalog.sessions_after(UnixTime::now()).await?;
        Ok(sessions.iter().map(session::as_token).collect())
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
        let subject = match records.get(&id) {
            Some(record) => record.subject.clone(),
            None => session::subject(&self.sessions.find(id)?.record),
        };
        Some(subject).filter(|subject| !subject.is_empty())
    }

    /// The same, also for sessions that ended long ago.
    pub async fn find_subject(&self, id: Uuid) -> Option<String> {
        match self.subject_of(id) {
            None => self.catalog.find_session(id).await.ok()?.as_ref().map(session::subject),
            subject => subject,
        }
    }

    /// The session with this id, if the token that was verified is one of a session.
    pub fn session(&self, id: Uuid) -> Option<Session> {
        self.sessions.find(id)
    }

    fn find(&self, id: Uuid) -> Option<TokenRecord> {
        self.records.read().get(&id).cloned()
    }

    fn remember(&self, record: TokenRecord) {
        self.records.write().insert(record.id, record);
    }
}
