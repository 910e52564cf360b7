//! Activating: which agents are to run what (protocol reference 7.2). All of a specification or nothing of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::{CatalogError, DeploymentId, DeploymentRecord, NewDeployment};
use futures_util::{StreamExt, TryStreamExt, stream};
use nix_formats::{StorePath, StorePathError};
use serde::Deserialize;
use uuid::Uuid;

use super::{Agent, Deploy, Workspace};
use crate::cache::Cache;
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
    #[error("agent `{agent}`: expected a path like /nix/store/HASH-NAME: {source}")]
    BadPath {
        /// The agent.
        agent: String,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// A rollback script is not in the store.
    #[error("rollbackScript for `{system}`: expected a path below /nix/store/HASH-NAME: {source}")]
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
    #[error("the cache `{cache}` does not hold {}, and nobody it asks does; push it first", .paths.join(", "))]
    Missing {
        /// The cache.
        cache: String,
        /// The paths.
        paths: Vec<String>,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
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
            let newer = done.added.iter().find(|added| added.agent == superseded.agent);
            let number = newer.map_or(0, |newer| newer.number);
            let reason = format!("deployment #{number} took its place before it began.");
            // The activation is durable by now, so a log that lacks a line must not make it a failure.
            if let Err(error) = self.conclude(superseded.id, &reason).await {
                tracing::warn!(deployment = %superseded.id.0, %error, "could not record why it was cancelled");
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
        let missing = |path: StorePath| async move {
            // What other nodes or upstreams hold, agents get through the cache as well.
            let found = cache.can_give(&self.catalog, path.hash()).await?
                || federation.find_patiently(cache, path.hash()).await.found().is_some();
            Ok::<_, CatalogError>((!found).then(|| path.to_full_path()))
        };
        let missing = stream::iter(wanted).map(missing).buffered(LOOKED_FOR_AT_ONCE);
        let paths: Vec<String> = missing.try_filter_map(|path| async { Ok(path) }).try_collect().await?;
        if paths.is_empty() {
            return Ok(());
        }
        Err(ActivateError::Missing { cache: cache.name().to_owned(), paths })
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

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
