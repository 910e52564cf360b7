//! `POST /api/v1/cache/NAME/key`: a client registers the key it signs with.
//!
//! This replaces the key that readers of the cache trust, so it takes a token with `admin`.

use catalog::RegisterKey;
use http::StatusCode;
use nix_formats::PublicKey;
use serde::Deserialize;

use crate::http::error::HttpError;
use crate::http::router::{Administer, Request};
use crate::http::{Answer, body, done};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningKeyCreate {
    public_key: String,
}

/// `POST …/key`.
pub async fn register(request: Request<Administer>) -> Answer {
    let Request { state, cache, grant: token, body, .. } = request;
    let new: SigningKeyCreate = body::json(body).await?;
    let conflict = |reason: String| Err(HttpError::new(StatusCode::CONFLICT, reason));
    let key = PublicKey::from_base64(&cache.key_name, &new.public_key)
        .map_err(|error| HttpError::bad_request(format!("publicKey: {error}")))?;
    let object = key.to_string();
    if !cache.keys().accepts_registration() {
        return conflict(format!(
            "cache `{}` is signed by the server; `signing: auto` or `signing: client` lets clients register a key",
            cache.name()
        ));
    }
    let _keys_change = cache.reconfigure_lock.write().await;
    match state.catalog.register_client_key(cache.id, key.name(), *key.as_bytes()).await? {
        RegisterKey::Registered => {
            tracing::warn!(
                cache = cache.name(),
                key = %key,
                token = %token.id(),
                "a client registered its signing key; the cache is signed with this key only from now on"
            );
            cache.adopt_client_key(key);
        }
        RegisterKey::AlreadyRegistered => {}
        RegisterKey::CacheNotEmpty { paths } => {
            return conflict(format!(
                "cache `{}` already holds {paths} paths signed with another key; \
                 a key can be registered only while a cache is empty",
                cache.name()
            ));
        }
        RegisterKey::NameTaken | RegisterKey::OtherClientKey => {
            return conflict(format!("cache `{}` already has another key registered", cache.name()));
        }
    }
    Ok(done(object))
}
