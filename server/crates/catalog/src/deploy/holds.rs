//! The systems that agents run, can roll back to, or are to activate. Garbage collection keeps them whatever their age, even for
//! undeclared agents: a machine that leaves the configuration for a day must find its system when it returns.

use std::collections::{HashMap, HashSet};

use nix_formats::{StorePath, StorePathHash};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::deployments::DeploymentStatus;
use crate::entity::field::{Field, stored};
use crate::entity::{agent, deployment, workspace};
use crate::{AgentId, CacheId, CatalogError, WorkspaceId};

/// The most values in one `IN` list.
const IN_LIST: usize = 500;
/// The directory of all store paths.
const STORE: &str = "/nix/store/";

/// Returns the hashes of the paths that agents of a cache need, each with the name of an agent. With `only`, at least those of
/// these hashes.
pub(crate) async fn held_by_agents(
    connection: &impl ConnectionTrait,
    cache: CacheId,
    only: Option<&[StorePathHash]>,
) -> Result<HashMap<StorePathHash, String>, CatalogError> {
    let mut held = HashMap::new();
    let mut agents = agents_of(connection, cache).await?;
    if agents.is_empty() {
        return Ok(held);
    }
    hold_scripts(connection, &agents, &mut held).await?;
    if let Some(hashes) = only {
        let concerned = agents_with(connection, hashes).await?;
        agents.retain(|id, _| concerned.contains(id));
    }
    for (id, name) in agents {
        for row in held_of(connection, id).await? {
            held.entry(*row.path_hash).or_insert_with(|| name.clone());
        }
    }
    Ok(held)
}

/// Returns the names of the agents of a cache by id.
async fn agents_of(
    connection: &impl ConnectionTrait,
    cache: CacheId,
) -> Result<HashMap<AgentId, String>, CatalogError> {
    let workspaces: Vec<WorkspaceId> = workspace::Entity::find()
        .select_only()
        .column(workspace::Column::Id)
        .filter(workspace::Column::Cache.eq(cache))
        .into_tuple()
        .all(connection)
        .await?;
    if workspaces.is_empty() {
        return Ok(HashMap::new());
    }
    let agents: Vec<(Field<agent::Entity, AgentId>, String)> = agent::Entity::find()
        .select_only()
        .columns([agent::Column::Id, agent::Column::Name])
        .filter(agent::Column::Workspace.is_in(workspaces))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(agents.into_iter().map(|(id, name)| (*id, name)).collect())
}

/// Returns the agents of deployments of these paths.
async fn agents_with(
    connection: &impl ConnectionTrait,
    hashes: &[StorePathHash],
) -> Result<HashSet<AgentId>, CatalogError> {
    let mut agents = HashSet::new();
    for some in hashes.chunks(IN_LIST) {
        let found: Vec<Field<deployment::Entity, AgentId>> = deployment::Entity::find()
            .select_only()
            .column(deployment::Column::Agent)
            .filter(deployment::Column::PathHash.is_in(some.iter().map(stored)))
            .distinct()
            .into_tuple()
            .all(connection)
            .await?;
        agents.extend(found.into_iter().map(Field::into_inner));
    }
    Ok(agents)
}

/// Returns the deployments whose paths an agent needs: the current and the previous one, the last one that it tried, and those
/// that are open.
async fn held_of(
    connection: &impl ConnectionTrait,
    agent: AgentId,
) -> Result<Vec<deployment::Model>, CatalogError> {
    let newest_first = || {
        deployment::Entity::find()
            .filter(deployment::Column::Agent.eq(stored(&agent)))
            .order_by_desc(deployment::Column::Number)
    };
    let succeeded =
        || newest_first().filter(deployment::Column::Status.eq(stored(&DeploymentStatus::Succeeded)));
    let mut held = newest_first()
        .filter(deployment::Column::Status.is_in(DeploymentStatus::OPEN.iter().map(stored)))
        .all(connection)
        .await?;
    held.extend(newest_first().filter(deployment::Column::StartedAt.is_not_null()).one(connection).await?);
    if let Some(current) = succeeded().one(connection).await? {
        let other = deployment::Column::PathHash.ne(current.path_hash.clone());
        held.extend(succeeded().filter(other).one(connection).await?);
        held.push(current);
    }
    Ok(held)
}

/// Adds the rollback scripts of open deployments.
async fn hold_scripts(
    connection: &impl ConnectionTrait,
    agents: &HashMap<AgentId, String>,
    held: &mut HashMap<StorePathHash, String>,
) -> Result<(), CatalogError> {
    let open = deployment::Entity::find()
        .filter(deployment::Column::Status.is_in(DeploymentStatus::OPEN.iter().map(stored)))
        .filter(deployment::Column::RollbackScripts.is_not_null())
        .all(connection)
        .await?;
    for row in open {
        let Some(name) = agents.get(&row.agent) else { continue };
        for script in row.rollback_scripts.iter().flat_map(|scripts| scripts.values()) {
            let path = script.strip_prefix(STORE).and_then(|rest| rest.split('/').next());
            if let Some(path) = path.and_then(|base| StorePath::from_base_name(base).ok()) {
                held.entry(*path.hash()).or_insert_with(|| name.clone());
            }
        }
    }
    Ok(())
}
