//! The workspaces and agents that the configuration names.

use std::collections::HashMap;
use std::sync::Arc;

use catalog::{AgentId, Catalog, CatalogError, DeclaredAgent, DeclaredWorkspace, WorkspaceId};

use crate::cache::Caches;
use crate::config::Config;

/// A group of agents that fetch from one cache.
#[derive(Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its row in the catalog.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// The name of the cache.
    pub cache: String,
}

/// A machine that is told what to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Agent {
    /// The id that its client is told; the same for ever.
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// The workspace that it belongs to.
    pub workspace: Arc<Workspace>,
}

/// All workspaces and agents of the configuration, at one moment.
#[derive(Debug, Default)]
pub struct Fleet {
    workspaces: HashMap<String, Arc<Workspace>>,
    agents: HashMap<String, Arc<Agent>>,
    by_id: HashMap<AgentId, Arc<Agent>>,
}

impl Fleet {
    /// Makes the catalog agree with the configuration, and returns what is in force.
    pub async fn reconcile(
        catalog: &Catalog,
        config: &Config,
        caches: &Caches,
    ) -> Result<Self, CatalogError> {
        let known: HashMap<&str, _> = caches
            .iter()
            .map(|cache| (cache.name(), cache.id))
            .chain(caches.disabled().iter().map(|cache| (cache.name.as_str(), cache.id)))
            .collect();
        let workspaces: Vec<_> = config
            .workspaces
            .iter()
            .filter_map(|workspace| {
                let cache = *known.get(workspace.cache.as_str())?;
                Some(DeclaredWorkspace { name: workspace.name.to_string(), cache })
            })
            .collect();
        let agents: Vec<_> = config
            .agents
            .iter()
            .map(|agent| DeclaredAgent {
                name: agent.name.to_string(),
                workspace: agent.workspace.to_string(),
            })
            .collect();
        let records = catalog.reconcile_fleet(&workspaces, &agents).await?;
        let cache_names: HashMap<&str, &str> = config
            .workspaces
            .iter()
            .map(|workspace| (workspace.name.as_str(), workspace.cache.as_str()))
            .collect();

        let mut fleet = Self::default();
        let mut by_row = HashMap::new();
        for record in records.workspaces.into_iter().filter(|record| record.enabled) {
            let Some(&cache) = cache_names.get(record.name.as_str()) else { continue };
            let workspace =
                Arc::new(Workspace { id: record.id, name: record.name.clone(), cache: cache.to_owned() });
            by_row.insert(record.id, workspace.clone());
            fleet.workspaces.insert(record.name, workspace);
        }
        for record in records.agents.into_iter().filter(|record| record.enabled) {
            let Some(workspace) = by_row.get(&record.workspace).cloned() else { continue };
            let agent = Arc::new(Agent { id: record.id, name: record.name.clone(), workspace });
            fleet.by_id.insert(record.id, agent.clone());
            fleet.agents.insert(record.name, agent);
        }
        Ok(fleet)
    }

    /// The workspace of this name.
    pub fn workspace(&self, name: &str) -> Option<&Arc<Workspace>> {
        self.workspaces.get(name)
    }

    /// The agent of this name.
    pub fn agent(&self, name: &str) -> Option<&Arc<Agent>> {
        self.agents.get(name)
    }

    /// The agent with this id.
    pub fn agent_by_id(&self, id: AgentId) -> Option<&Arc<Agent>> {
        self.by_id.get(&id)
    }

    /// All workspaces, in no order.
    pub fn workspaces(&self) -> impl Iterator<Item = &Arc<Workspace>> {
        self.workspaces.values()
    }

    /// All agents, in no order.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents.values()
    }
}
