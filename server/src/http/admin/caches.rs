//! Caches, and how to set up their clients.

use std::sync::Arc;

use admin_api::{CacheInfo, CacheSummary, KeyInfo, KeyOrigin, ListCaches, SetupStep, ShowCache};
use catalog::SigningKeyRecord;
use nix_formats::PublicKey;

use super::Answer;
use super::error::{internal, unknown_cache};
use super::summary::{cache_summaries, cache_summary, storage_summaries};
use crate::cache::Cache;
use crate::config::WhenFull;
use crate::http::state::State;
use crate::instructions::{MEMORY, fetch, netrc_line, push_with_cachix, push_with_nix};
use crate::origin::suits_cachix_use;

pub(super) async fn list(state: &State, _: ListCaches) -> Answer<Vec<CacheSummary>> {
    cache_summaries(state).await
}

pub(super) async fn show(state: &State, request: ShowCache) -> Answer<CacheInfo> {
    let cache = find(state, &request.cache)?;
    let summary = cache_summary(state, &cache).await?;
    let keys = state.catalog.signing_keys(cache.id).await.map_err(|error| internal(&error))?;
    Ok(CacheInfo {
        setup: setup_steps(state, &cache, &summary),
        summary,
        priority: cache.config().priority,
        compression: cache.config().compression.to_string(),
        retention_days: Some(cache.config().retention),
        max_bytes: cache.config().max_size,
        collects_when_full: cache.config().when_full == WhenFull::Collect,
        port: cache.config().port,
        storages: storage_summaries(state, &cache).await?,
        keys: keys.iter().map(|key| key_info(&cache, key)).collect(),
        upstreams: cache.config().upstreams.iter().map(ToString::to_string).collect(),
    })
}

/// Returns the cache of this name, if it is served.
pub(super) fn find(state: &State, name: &str) -> Answer<Arc<Cache>> {
    state.caches().find(name).ok_or_else(|| unknown_cache(state, name))
}

/// A signing key, as the API shows it.
pub(super) fn key_info(cache: &Cache, key: &SigningKeyRecord) -> KeyInfo {
    KeyInfo {
        name: key.name.clone(),
        public_key: PublicKey::from_bytes(&key.name, &key.public_key)
            .map(|key| key.to_string())
            .unwrap_or_default(),
        origin: match key.origin {
            catalog::KeyOrigin::Client => KeyOrigin::Client,
            catalog::KeyOrigin::Server if cache.config().signing_key_files.is_empty() => KeyOrigin::Generated,
            catalog::KeyOrigin::Added => KeyOrigin::Generated,
            catalog::KeyOrigin::Server | catalog::KeyOrigin::Given => KeyOrigin::File,
        },
        created_at: key.created_at.0,
        retired_at: key.retired_at.map(|time| time.0),
    }
}

/// The steps that set up a client.
fn setup_steps(state: &State, cache: &Cache, summary: &CacheSummary) -> Vec<SetupStep> {
    let api = state.origin.api_url();
    let name = cache.name();
    let step = |title: &str, lines: Vec<String>| SetupStep { title: title.to_owned(), lines };
    let compression = cache.config().compression.to_string();
    let mut steps = vec![
        step("Create a token", vec![format!("cachectl token create --cache {name} --permission write")]),
        step("Push with cachix", push_with_cachix(&api, name, "TOKEN")),
        step(
            "Push with Nix alone",
            vec![
                format!("(umask 077; echo '{}' > cache-netrc)", netrc_line(&summary.url, "TOKEN")),
                push_with_nix(&summary.url, &compression, "\"$PWD/cache-netrc\""),
            ],
        ),
        step("Fetch, in nix.conf", fetch(&summary.url, &summary.public_keys)),
    ];
    if !cache.is_public() {
        let mut lines = vec![netrc_line(&summary.url, "TOKEN")];
        if !suits_cachix_use(&summary.url) {
            lines.push(
                "# `cachix use` writes a line that Nix does not match, because this URL is more than a host name"
                    .to_owned(),
            );
        }
        steps.push(step("Read it, in the netrc-file of Nix", lines));
    }
    steps.push(step("If Nix skips a path", MEMORY.map(str::to_owned).to_vec()));
    steps
}
