//! `POST /api/v1/cache/NAME/key`: a client registers the key it signs with.

use std::sync::Arc;

use catalog::RegisterKey;
use http::StatusCode;
use nix_formats::PublicKey;
use serde::Deserialize;
use warp::Filter;

use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::state::State;
use crate::http::{Answer, Route, Site, access, body, reply, status};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningKeyCreate {
    public_key: String,
}

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    let state = state.clone();
    site.clone()
        .and(warp::path("key"))
        .and(warp::path::end())
        .and(warp::post())
        .and(access::authorization())
        .and(warp::body::stream())
        .then(move |cache: Arc<Cache>, authorization: Option<String>, stream| {
            let state = state.clone();
            reply(async move {
                access::write(&state.tokens, &cache, authorization.as_deref())?;
                register(&state, &cache, body::json(stream).await?).await
            })
        })
}

async fn register(state: &State, cache: &Cache, new: SigningKeyCreate) -> Answer {
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
