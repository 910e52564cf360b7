//! `POST /api/v1/cache/NAME/key`: a client registers the key it signs with.

use std::sync::Arc;

use catalog::RegisterKey;
use http::StatusCode;
use nix_formats::PublicKey;
use serde::Deserialize;
use warp::Filter;

use crate::app::App;
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::{Answer, Route, Site, access, body, reply, status};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigningKeyCreate {
    public_key: String,
}

pub(super) fn routes(app: &Arc<App>, site: &Site) -> impl Route {
    let app = app.clone();
    site.clone()
        .and(warp::path("key"))
        .and(warp::path::end())
        .and(warp::post())
        .and(access::authorization())
        .and(warp::body::stream())
        .then(move |cache: Arc<Cache>, authorization: Option<String>, stream| {
            let app = app.clone();
            reply(async move {
                access::write(&app.tokens, &cache, authorization.as_deref())?;
                register(&app, &cache, body::json(stream).await?).await
            })
        })
}

async fn register(app: &App, cache: &Cache, new: SigningKeyCreate) -> Answer {
    let conflict = |reason: String| Err(HttpError::new(StatusCode::CONFLICT, reason));
    let key = PublicKey::from_base64(&cache.key_name, &new.public_key)
        .map_err(|error| HttpError::bad_request(format!("publicKey: {error}")))?;
    if !cache.keys().accepts_registration() {
        return conflict(format!("cache `{}` is signed by the server (signing: server)", cache.name()));
    }
    let _keys_change = cache.keys_in_use.write().await;
    match app.catalog.register_client_key(cache.id, key.name(), *key.as_bytes()).await? {
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
