//! `POST /v1/caches/NAME/keys` and `POST /v1/caches/NAME/keys/retire`.

use std::sync::Arc;

use admin_api::{AddKey, ApiError, ErrorCode, KeyInfo, RetireKey, RetiredKey};
use nix_formats::{PublicKey, SigningKey};
use warp::Filter;

use super::caches::key_info;
use super::error::{failure, internal, unknown_cache};
use super::{Answer, body, reply};
use crate::cache::Cache;
use crate::cache::rotation::RotationError;
use crate::http::state::State;
use crate::http::{Route, any_of};

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    any_of([add(state.clone()).boxed(), retire(state.clone()).boxed()])
}

fn add(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "caches" / String / "keys").and(warp::post()).and(warp::body::stream()).then(
        move |name: String, stream| {
            let state = state.clone();
            reply(async move { add_key(&state, &name, body::json(stream).await?).await })
        },
    )
}

fn retire(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "caches" / String / "keys" / "retire")
        .and(warp::post())
        .and(warp::body::stream())
        .then(move |name: String, stream| {
            let state = state.clone();
            reply(async move { retire_key(&state, &name, body::json(stream).await?).await })
        })
}

async fn add_key(state: &State, name: &str, request: AddKey) -> Answer<KeyInfo> {
    let _keys_stay = state.block_reloads().await;
    let cache = state.caches().find(name).ok_or_else(|| unknown_cache(name))?;
    let given = request.secret_key.map(|text| SigningKey::parse(&text)).transpose().map_err(|error| {
        let hint = Some("give NAME:BASE64, as `nix key generate-secret` prints it");
        failure(ErrorCode::Invalid, format!("that is no secret key: {error}"), hint)
    })?;
    let added = cache.add_key(&state.catalog, &state.config().server.state_dir, given).await;
    let added = added.map_err(|error| refusal(&error))?;
    tracing::info!(cache = name, key = added.name, "a signing key was added");
    Ok(key_info(&cache, &added))
}

async fn retire_key(state: &State, name: &str, request: RetireKey) -> Answer<RetiredKey> {
    let _keys_stay = state.block_reloads().await;
    let cache = state.caches().find(name).ok_or_else(|| unknown_cache(name))?;
    let key = PublicKey::parse(&request.public_key).map_err(|error| {
        let hint = Some("`cachectl key list` shows the public keys");
        failure(ErrorCode::Invalid, format!("that is no public key: {error}"), hint)
    })?;
    let retired = cache.retire_key(&state.catalog, &key).await.map_err(|error| refusal(&error))?;
    tracing::info!(cache = name, key = retired.name, "a signing key was retired");
    Ok(RetiredKey {
        key: key_info(&cache, &retired),
        notice: notice_for_agents(state, &cache, &retired.name),
    })
}

/// What becomes of agents that trust the signatures of a retired key, if some fetch from the cache.
fn notice_for_agents(state: &State, cache: &Cache, retired: &str) -> Option<String> {
    let fleet = state.deploy.fleet();
    if !fleet.agents().any(|agent| agent.workspace.cache == cache.name()) {
        return None;
    }
    let keys = cache.keys();
    if !keys.agent_names().iter().any(|name| name == retired) {
        return None;
    }
    let now = keys.agent_key(retired)?;
    Some(format!(
        "Deploy agents look for signatures under the name {retired}: {} signs under that name as well from now on. Agents \
         get it before their next deployment; one that fetches at this moment may fail, and succeeds when it is repeated.",
        now.name()
    ))
}

fn refusal(error: &RotationError) -> ApiError {
    let code = match error {
        RotationError::Catalog(_)
        | RotationError::File(_)
        | RotationError::Key(_)
        | RotationError::Interrupted => return internal(error),
        RotationError::Unknown { .. } => ErrorCode::NotFound,
        RotationError::Shared
        | RotationError::Configured(_)
        | RotationError::ClientSigned(_)
        | RotationError::NameTaken { .. }
        | RotationError::Last { .. } => ErrorCode::Conflict,
    };
    failure(code, error.to_string(), error.hint())
}
