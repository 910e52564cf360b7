//! `POST /api/v1/cache/NAME/key`: a client registers the key it signs with.

use catalog::RegisterKey;
use http::StatusCode;
use nix_formats::PublicKey;
use serde::Deserialize;

use crate::http::error::HttpError;
use crate::http::router::{Request, Write};
use crate::http::{Answer, body, status};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningKeyCreate {
    public_key: String,
}

/// `POST …/key`.
pub async fn register(request: Request<Write>) -> Answer {
    let Request { state, cache, body, .. } = request;
    let new: SigningKeyCreate = body::json(body).await?;
    let conflict = |reason: String| Err(HttpError::new(StatusCode::CONFLICT, reason));
    let key = PublicKey::from_base64(&cache.key_name, &new.public_key)
        .map_err(|error| HttpError::bad_request(format!("publicKey: {error}")))?;
    if !cache.keys().accepts_registration() {
        return conflict(format!("cache `{}` is signed by the server (signing: server)", cache.name()));
    }
    let _keys_change = cache.reconfigure_lock.write().await;
    match state.catalog.register_client_key(cache.id, key.name(), *key.as_bytes()).await? {
        RegisterKey::Registered => cache.adopt_client_key(key),
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
    Ok(status(StatusCode::OK))
}
