//! The names that the daemon knows, for completion. A shell asks for them while a person types, so they come at once or not at
//! all, and failures are silent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use admin_api::{
    Endpoint, JobState, ListAgents, ListCaches, ListDeployments, ListJobs, ListPeers, ListPins, ListTokens,
    ListUploads, ListWorkers, ListWorkspaces, ShowCache, ShowStatus,
};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use serde::de::DeserializeOwned;

use crate::client::{Client, socket};
use crate::output::{counted, size};

/// How long a person waits for a list without wondering.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most deployments that are offered.
const DEPLOYMENTS: u64 = 20;

/// The names of the caches.
pub fn caches() -> ArgValueCandidates {
    offer(&ListCaches {}, |cache| vec![(cache.name, counted(cache.paths, "path"))])
}

/// The names of the storages, each once.
pub fn storages() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let storages = ask(&ShowStatus {}).map(|status| status.storages).unwrap_or_default();
        let named = storages.into_iter().map(|storage| (storage.name, format!("of {}", storage.cache)));
        candidates(named.collect())
    })
}

/// The names of the background workers.
pub fn workers() -> ArgValueCandidates {
    offer(&ListWorkers {}, |worker| vec![(worker.name, worker.does)])
}

/// The names of the deploy agents.
pub fn agents() -> ArgValueCandidates {
    offer(&ListAgents {}, |agent| vec![(agent.name, agent.workspace)])
}

/// The names of the deploy workspaces.
pub fn workspaces() -> ArgValueCandidates {
    offer(&ListWorkspaces {}, |workspace| vec![(workspace.name, workspace.cache)])
}

/// The newest deployments as `AGENT#NUMBER`, and the agents, which stand for their newest one.
pub fn deployments() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let agents = ask(&ListAgents {}).unwrap_or_default();
        let newest = ask(&ListDeployments { agent: None, limit: Some(DEPLOYMENTS) }).unwrap_or_default();
        let mut named: Vec<_> =
            agents.into_iter().map(|agent| (agent.name, "its newest deployment".to_owned())).collect();
        named.extend(newest.into_iter().map(|one| (format!("{}#{}", one.agent, one.number), one.store_path)));
        candidates(named)
    })
}

/// The ids of the running jobs.
pub fn jobs() -> ArgValueCandidates {
    offer(&ListJobs {}, |job| match job.state {
        JobState::Running => vec![(job.id.clone(), crate::follow::name(&job))],
        _ => Vec::new(),
    })
}

/// The ids of the tokens that are not revoked.
pub fn tokens() -> ArgValueCandidates {
    offer(&ListTokens {}, |token| match token.revoked_at {
        None => vec![(token.id, token.subject.unwrap_or_default())],
        Some(_) => Vec::new(),
    })
}

/// The names of the pins, each once.
pub fn pins() -> ArgValueCandidates {
    offer(&ListPins { cache: None }, |pin| vec![(pin.name, format!("in {}", pin.cache))])
}

/// The ids of the unfinished uploads.
pub fn uploads() -> ArgValueCandidates {
    offer(&ListUploads {}, |upload| vec![(upload.id, format!("{} to {}", size(upload.bytes), upload.cache))])
}

/// The ids of the other nodes.
pub fn peers() -> ArgValueCandidates {
    offer(&ListPeers {}, |peer| vec![(peer.node, peer.url)])
}

/// The names of the signing keys in use.
pub fn keys() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let caches = ask(&ListCaches {}).unwrap_or_default().into_iter();
        let infos = caches.filter_map(|cache| ask(&ShowCache { cache: cache.name }));
        let in_use = infos.flat_map(|info| {
            let cache = info.summary.name;
            let keys = info.keys.into_iter().filter(|key| key.retired_at.is_none());
            keys.map(move |key| (key.name, format!("of {cache}")))
        });
        candidates(in_use.collect())
    })
}

/// Offers what `named` makes of each element of the reply: values, each with a description.
fn offer<E, T>(request: &E, named: fn(T) -> Vec<(String, String)>) -> ArgValueCandidates
where
    E: Endpoint<Reply = Vec<T>> + Clone + Send + Sync + 'static,
    T: DeserializeOwned + 'static,
{
    let request = request.clone();
    ArgValueCandidates::new(move || {
        candidates(ask(&request).unwrap_or_default().into_iter().flat_map(named).collect())
    })
}

/// Each value once, with the description that it had first.
fn candidates(mut named: Vec<(String, String)>) -> Vec<CompletionCandidate> {
    let mut seen = std::collections::HashSet::new();
    named.retain(|(value, _)| seen.insert(value.clone()));
    named.into_iter().map(|(value, help)| CompletionCandidate::new(value).help(Some(help.into()))).collect()
}

fn ask<E>(request: &E) -> Option<E::Reply>
where
    E: Endpoint,
    E::Reply: DeserializeOwned,
{
    let named = named_socket(std::env::args_os());
    let client =
        Client { candidates: socket::candidates(named, |name| std::env::var_os(name)), timeout: PATIENCE };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(client.call(request)).ok()
}

/// The value of `--socket` on the line that is being typed.
fn named_socket(mut words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    while let Some(word) = words.next() {
        if word == "--socket" {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--socket=")) {
            return Some(path.into());
        }
    }
    None
}
