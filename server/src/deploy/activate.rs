//! Activating: which agents are to run what (protocol reference 7.2). All of a specification or nothing of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::{CatalogError, DeploymentId, DeploymentRecord, NewDeployment};
use futures_util::{StreamExt, TryStreamExt, stream};
use nix_formats::{StorePath, StorePathError};
use serde::Deserialize;
use uuid::Uuid;

use super::{Agent, Deploy, Workspace, count_end};
use crate::cache::Cache;
use crate::cache::narinfo::narinfo;
use crate::chain::chain;
use crate::federation::Federation;

/// Most agents of one specification.
const MOST_AGENTS: usize = 10_000;
/// Most systems with a rollback script.
const MOST_SCRIPTS: usize = 100;
/// Paths that are looked for at a time. Elsewhere each may take a while.
const LOOKED_FOR_AT_ONCE: usize = 32;
/// Where all store paths are.
const STORE: &str = "/nix/store/";

/// What is to be run where, as the client writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Specification {
    /// Store paths by the name of the agent.
    pub agents: BTreeMap<String, String>,
    /// Scripts that judge the new state of a machine, by its Nix system.
    #[serde(default)]
    pub rollback_script: Option<BTreeMap<String, String>>,
}

/// Where agents fetch from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The cache of their workspace.
    pub cache: &'a Arc<Cache>,
    /// Who is asked for what that does not hold.
    pub federation: &'a Arc<Federation>,
}

/// Why a specification was refused. The text is for the client.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// Some agents are not in the workspace.
    #[error("there is no agent {} in the workspace `{workspace}`", quoted(.agents))]
    UnknownAgents {
        /// Their names.
        agents: Vec<String>,
        /// The workspace.
        workspace: String,
    },
    /// What an agent is to run is no store path.
    #[error("agent `{agent}`: expected a path like /nix/store/HASH-NAME")]
    BadPath {
        /// The agent.
        agent: String,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// A rollback script is not in the store.
    #[error("rollbackScript for `{system}`: expected a path below /nix/store/HASH-NAME")]
    BadScript {
        /// The Nix system.
        system: String,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// There is more than a specification may hold.
    #[error("more than {limit} {what} in one specification")]
    TooMany {
        /// How many there may be.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// The cache of the workspace is switched off.
    #[error("the cache `{cache}` of the workspace `{workspace}` is not served here")]
    NoCache {
        /// The cache.
        cache: String,
        /// The workspace.
        workspace: String,
    },
    /// Agents could not fetch what they are to run.
    #[error("the cache `{cache}` does not hold {}, and no node or upstream that it asks does; push it first", .paths.join(", "))]
    Missing {
        /// The cache.
        cache: String,
        /// The paths.
        paths: Vec<String>,
    },
    /// Agents would refuse what they are to run.
    #[error("agents would refuse {}: {}", .paths.join(", "), unsigned(.cache, .key.as_deref()))]
    Unsigned {
        /// The cache.
        cache: String,
        /// The name of the key that agents trust, if there is one.
        key: Option<String>,
        /// The paths.
        paths: Vec<String>,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Whether agents can fetch a path from the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Availability {
    Good,
    Missing,
    Unsigned,
}

impl Deploy {
    /// Makes a deployment for each agent of a specification. `source` is the cache of the workspace. With `allow_missing`
    /// the paths need not be there: the agents may have them, or find them elsewhere.
    pub async fn activate(
        &self,
        workspace: &Workspace,
        source: Option<Source<'_>>,
        specification: Specification,
        allow_missing: bool,
    ) -> Result<Vec<(Arc<Agent>, DeploymentRecord)>, ActivateError> {
        let agents = self.agents_of(workspace, &specification)?;
        let scripts = specification.rollback_script.unwrap_or_default();
        let paths = parse_paths(&specification.agents)?;
        let wanted = self.wanted_paths(&paths, &agents, &scripts)?;
        if !allow_missing && !wanted.is_empty() {
            self.check_presence(workspace, source, wanted).await?;
        }
        let new = agents
            .iter()
            .map(|agent| NewDeployment {
                id: DeploymentId(Uuid::new_v4()),
                agent: agent.id,
                store_path: paths[&agent.name].clone(),
                rollback_scripts: scripts.clone(),
            })
            .collect();
        let done = self.catalog.add_deployments(new).await?;
        for superseded in done.superseded {
            count_end(superseded.status);
            let newer = done.added.iter().find(|added| added.agent == superseded.agent);
            let number = newer.map_or(0, |newer| newer.number);
            let reason = format!("deployment #{number} took its place before it began.");
            // The activation is durable by now, so a log that lacks a line must not make it a failure.
            if let Err(error) = self.close_log(superseded.id, &reason).await {
                tracing::warn!(deployment = %superseded.id.0, error = %chain(&error), "could not record why it was cancelled");
            }
        }
        for added in &done.added {
            self.online.wake(added.agent);
        }
        Ok(agents.into_iter().zip(done.added).collect())
    }

    fn agents_of(
        &self,
        workspace: &Workspace,
        specification: &Specification,
    ) -> Result<Vec<Arc<Agent>>, ActivateError> {
        if specification.agents.len() > MOST_AGENTS {
            return Err(ActivateError::TooMany { limit: MOST_AGENTS, what: "agents" });
        }
        let fleet = self.fleet();
        let (mut agents, mut unknown) = (Vec::new(), Vec::new());
        for name in specification.agents.keys() {
            match fleet.agent(name).filter(|agent| agent.workspace.id == workspace.id) {
                Some(agent) => agents.push(agent.clone()),
                None => unknown.push(name.clone()),
            }
        }
        if unknown.is_empty() {
            return Ok(agents);
        }
        Err(ActivateError::UnknownAgents { agents: unknown, workspace: workspace.name.clone() })
    }

    /// The paths that the agents will fetch from the cache. Of the scripts those of the systems that are known to be among
    /// the agents: a specification may name others, which nobody has built.
    fn wanted_paths(
        &self,
        paths: &BTreeMap<String, StorePath>,
        agents: &[Arc<Agent>],
        scripts: &BTreeMap<String, String>,
    ) -> Result<Vec<StorePath>, ActivateError> {
        if scripts.len() > MOST_SCRIPTS {
            return Err(ActivateError::TooMany { limit: MOST_SCRIPTS, what: "rollback scripts" });
        }
        let mut wanted: Vec<_> = paths.values().cloned().collect();
        let systems: Vec<String> = agents
            .iter()
            .filter_map(|agent| self.online.find(agent.id).map(|present| present.hello.system))
            .collect();
        for (system, script) in scripts {
            let path = script_path(script)
                .map_err(|source| ActivateError::BadScript { system: system.clone(), source })?;
            if systems.contains(system) {
                wanted.push(path);
            }
        }
        wanted.sort_unstable_by_key(StorePath::base_name);
        wanted.dedup();
        Ok(wanted)
    }

    async fn check_presence(
        &self,
        workspace: &Workspace,
        source: Option<Source<'_>>,
        wanted: Vec<StorePath>,
    ) -> Result<(), ActivateError> {
        let Some(Source { cache, federation }) = source else {
            let (cache, workspace) = (workspace.cache.clone(), workspace.name.clone());
            return Err(ActivateError::NoCache { cache, workspace });
        };
        let look = |path: StorePath| async move {
            Ok::<_, CatalogError>((self.availability(cache, federation, &path).await?, path.to_full_path()))
        };
        let looked = stream::iter(wanted).map(look).buffered(LOOKED_FOR_AT_ONCE);
        let looked: Vec<(Availability, String)> = looked.try_collect().await?;
        let those = |wanted| {
            let paths = looked.iter().filter(move |(availability, _)| *availability == wanted);
            paths.map(|(_, path)| path.clone()).collect::<Vec<_>>()
        };
        let cache_name = cache.name().to_owned();
        let (missing, unsigned) = (those(Availability::Missing), those(Availability::Unsigned));
        if !missing.is_empty() {
            return Err(ActivateError::Missing { cache: cache_name, paths: missing });
        }
        if !unsigned.is_empty() {
            let key = cache.keys().agent_key(&cache.key_name).map(|key| key.name().to_owned());
            return Err(ActivateError::Unsigned { cache: cache_name, key, paths: unsigned });
        }
        Ok(())
    }

    async fn availability(
        &self,
        cache: &Arc<Cache>,
        federation: &Arc<Federation>,
        path: &StorePath,
    ) -> Result<Availability, CatalogError> {
        let accepted = if cache.can_serve(&self.catalog, path.hash()).await? {
            let record = self.catalog.find_path(cache.id, path.hash()).await?;
            record.is_none_or(|record| cache.keys().agents_accept(&narinfo(cache, &record)))
        } else {
            // What other nodes or upstreams hold, agents get through the cache as well.
            let Some(found) = federation.find_patiently(cache, path.hash()).await.found() else {
                return Ok(Availability::Missing);
            };
            cache.keys().agents_accept(&found.narinfo)
        };
        Ok(if accepted { Availability::Good } else { Availability::Unsigned })
    }
}

fn parse_paths(paths: &BTreeMap<String, String>) -> Result<BTreeMap<String, StorePath>, ActivateError> {
    let parse = |(agent, path): (&String, &String)| match StorePath::from_full_path(path) {
        Ok(path) => Ok((agent.clone(), path)),
        Err(source) => Err(ActivateError::BadPath { agent: agent.clone(), source }),
    };
    paths.iter().map(parse).collect()
}

/// The store path that a script is, or lies in.
fn script_path(script: &str) -> Result<StorePath, StorePathError> {
    let base = script.strip_prefix(STORE).and_then(|rest| rest.split('/').next());
    StorePath::from_full_path(&base.map_or_else(|| script.to_owned(), |base| format!("{STORE}{base}")))
}

/// Why agents refuse what is not signed by the key that they trust, and what to do.
fn unsigned(cache: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!(
            "the cache `{cache}` has no signature of it by the key {key}; sign it with that key (`nix store sign`)"
        ),
        None => format!(
            "the cache `{cache}` has no signing key; register one with `cachix generate-keypair {cache}`, and push again"
        ),
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
