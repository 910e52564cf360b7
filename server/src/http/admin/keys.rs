//! Signing keys.

use admin_api::{AddKey, ApiError, ErrorCode, KeyInfo, RetireKey, RetiredKey};
use nix_formats::{PublicKey, SigningKey};

use super::Answer;
use super::caches::{find, key_info};
use super::error::{failure, internal};
use crate::cache::Cache;
use crate::cache::rotation::RotationError;
use crate::http::state::State;

pub(super) async fn add(state: &State, request: AddKey) -> Answer<KeyInfo> {
    let _keys_stay = state.block_reloads().await;
    let cache = find(state, &request.cache)?;
    let given = request.secret_key.map(|text| SigningKey::parse(&text)).transpose().map_err(|error| {
        let hint = Some("pass NAME:BASE64, as `nix key generate-secret` prints it");
        failure(ErrorCode::Invalid, format!("this is not a secret key: {error}"), hint)
    })?;
    let added = cache.add_key(&state.catalog, &state.config().server.state_dir, given).await;
    let added = added.map_err(|error| refusal(&error))?;
    tracing::info!(cache = cache.name(), key = added.name, "a signing key was added");
    Ok(key_info(&cache, &added))
}

pub(super) async fn retire(state: &State, request: RetireKey) -> Answer<RetiredKey> {
    let _keys_stay = state.block_reloads().await;
    let cache = find(state, &request.cache)?;
    let key = PublicKey::parse(&request.public_key).map_err(|error| {
        let hint = Some("`cachectl key list` shows the public keys");
        failure(ErrorCode::Invalid, format!("this is not a public key: {error}"), hint)
    })?;
    let retired = cache.retire_key(&state.catalog, &key).await.map_err(|error| refusal(&error))?;
    tracing::info!(cache = cache.name(), key = retired.name, "a signing key was retired");
    Ok(RetiredKey {
        key: key_info(&cache, &retired),
        notice: notice_for_agents(state, &cache, &retired.name),
    })
}

/// What the retirement of a key means for the agents that trust its signatures, if any fetch from the cache.
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
        "Deploy agents look for signatures of {retired}, so {} now signs under that name as well. Agents receive the new \
         key before their next deployment. A deployment that is fetching right now may fail; if it does, repeat it.",
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
