//! Tokens: JSON Web Tokens signed with HMAC-SHA-256, each with a row in the catalog so that it can be listed and revoked.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use catalog::{Catalog, CatalogError, TokenCaches, TokenPermission, TokenRecord, UnixTime};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AuthError, Grant};

/// The `aud` claim, so that a token of another service that happens to share the key is none of ours.
const AUDIENCE: &str = "cache-server";

/// The claims of a token. The grant is part of what is signed; the catalog row only adds expiry and revocation, so an
/// edited row can take rights away but never add any.
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
    permission: String,
}

/// What a new token shall be.
pub struct NewToken {
    /// Whom or what it is for, for people who read the list.
    pub subject: String,
    /// Caches it is valid for.
    pub caches: TokenCaches,
    /// The most it permits.
    pub permission: TokenPermission,
    /// When it ends; `None` for never.
    pub expires_at: Option<UnixTime>,
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
}

struct Key {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Key {
    fn new(secret: &[u8]) -> Self {
        Self { encoding: EncodingKey::from_secret(secret), decoding: DecodingKey::from_secret(secret) }
    }
}

impl Tokens {
    /// Loads the token table. `key` is the secret of `server.key`.
    pub async fn load(catalog: Catalog, key: &[u8]) -> Result<Self, CatalogError> {
        let records = catalog.tokens().await?.into_iter().map(|record| (record.id, record)).collect();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "sub"]);
        validation.validate_exp = true;
        validation.leeway = 0;
        Ok(Self { catalog, key: RwLock::new(Key::new(key)), validation, records: RwLock::new(records) })
    }

    /// From now on tokens are signed with `key`; those that were signed with another one are void.
    pub fn replace_key(&self, key: &[u8]) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = Key::new(key);
    }

    /// Makes a token and records it.
    pub async fn issue(&self, new: NewToken) -> Result<IssuedToken, CatalogError> {
        let record = TokenRecord {
            id: Uuid::new_v4(),
            subject: new.subject,
            caches: new.caches,
            permission: new.permission,
            created_at: UnixTime::now(),
            expires_at: new.expires_at,
            revoked_at: None,
        };
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            sub: record.subject.clone(),
            jti: record.id,
            iat: record.created_at.0,
            exp: record.expires_at.map(|time| time.0),
            caches: match &record.caches {
                TokenCaches::All => None,
                TokenCaches::Only(names) => Some(names.clone()),
            },
            permission: record.permission.as_str().to_owned(),
        };
        let token = {
            let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key.encoding)
                .expect("claims of strings and numbers always encode")
        };
        self.catalog.insert_token(record.clone()).await?;
        self.remember(record.clone());
        Ok(IssuedToken { record, token })
    }

    /// What `token` permits, if it is one of ours, still valid and not revoked.
    pub fn verify(&self, token: &str) -> Result<Grant, AuthError> {
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
        let claims = match jsonwebtoken::decode::<Claims>(token, &key.decoding, &self.validation) {
            Ok(data) => data.claims,
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                return Err(AuthError::Expired);
            }
            Err(_) => return Err(AuthError::Invalid),
        };
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let record = records.get(&claims.jti).ok_or(AuthError::Invalid)?;
        if record.revoked_at.is_some() {
            return Err(AuthError::Revoked);
        }
        let permission = TokenPermission::from_text(&claims.permission).ok_or(AuthError::Invalid)?;
        let caches = claims.caches.map_or(TokenCaches::All, TokenCaches::Only);
        Ok(Grant { caches, permission })
    }

    /// Revokes the token with this id. `None` when there is no such token.
    pub async fn revoke(&self, id: Uuid) -> Result<Option<TokenRecord>, CatalogError> {
        let Some(mut record) = self.find(id) else { return Ok(None) };
        if record.revoked_at.is_none() {
            self.catalog.revoke_token(id).await?;
            record.revoked_at = Some(UnixTime::now());
            self.remember(record.clone());
        }
        Ok(Some(record))
    }

    /// Every token ever issued, oldest first.
    pub fn list(&self) -> Vec<TokenRecord> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = records.values().cloned().collect();
        list.sort_by_key(|record| (record.created_at, record.id));
        list
    }

    /// Reads the token table again, which another daemon has changed. What was issued or revoked here meanwhile stays.
    pub async fn reload(&self) -> Result<(), CatalogError> {
        let loaded = self.catalog.tokens().await?;
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        for mut record in loaded {
            let known = records.get(&record.id);
            record.revoked_at = record.revoked_at.or(known.and_then(|known| known.revoked_at));
            records.insert(record.id, record);
        }
        Ok(())
    }

    fn find(&self, id: Uuid) -> Option<TokenRecord> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn remember(&self, record: TokenRecord) {
        self.records.write().unwrap_or_else(PoisonError::into_inner).insert(record.id, record);
    }
}
