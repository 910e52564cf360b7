//! What agents run, would go back to, or are told to run. Garbage collection leaves it alone, whatever its age and whatever
//! became of the agent: a machine that is out of the configuration for a day must find its system when it is back.

use std::collections::{HashMap, HashSet};

use nix_formats::StorePath;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::deployments::{DeploymentRecord, DeploymentStatus};
use crate::entity::{agent, deployment, workspace};
use crate::{CacheId, CatalogError};

/// Values in one `IN` list.
const IN_LIST: usize = 500;
/// Where all store paths are.
const STORE: &str = "/nix/store/";

/// The paths that agents of a cache hold, by their hashes, each with the name of an agent. With `only`, those of these
/// hashes, and perhaps others.
pub(crate) async fn held_by_agents(
    connection: &impl ConnectionTrait,
    cache: CacheId,
    only: Option<&[Vec<u8>]>,
) -> Result<HashMap<Vec<u8>, String>, CatalogError> {
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
        for row in held_of(connection, &id).await? {
            held.entry(row.path_hash).or_insert_with(|| name.clone());
        }
    }
    Ok(held)
}

/// Names by id.
async fn agents_of(
    connection: &impl ConnectionTrait,
    cache: CacheId,
) -> Result<HashMap<Vec<u8>, String>, CatalogError> {
    let workspaces: Vec<i64> = workspace::Entity::find()
        .select_only()
        .column(workspace::Column::Id)
        .filter(workspace::Column::Cache.eq(cache))
        .into_tuple()
        .all(connection)
        .await?;
    if workspaces.is_empty() {
        return Ok(HashMap::new());
    }
    let agents: Vec<(Vec<u8>, String)> = agent::Entity::find()
        .select_only()
        .columns([agent::Column::Id, agent::Column::Name])
        .filter(agent::Column::Workspace.is_in(workspaces))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(agents.into_iter().collect())
}

/// The agents of deployments of these paths.
async fn agents_with(
    connection: &impl ConnectionTrait,
    hashes: &[Vec<u8>],
) -> Result<HashSet<Vec<u8>>, CatalogError> {
    let mut agents = HashSet::new();
    for some in hashes.chunks(IN_LIST) {
        let found: Vec<Vec<u8>> = deployment::Entity::find()
            .select_only()
            .column(deployment::Column::Agent)
            .filter(deployment::Column::PathHash.is_in(some.iter().cloned()))
            .distinct()
            .into_tuple()
            .all(connection)
            .await?;
        agents.extend(found);
    }
    Ok(agents)
}

/// The deployments of an agent whose paths it needs: what it runs, what it ran before that, what it tried last, and what
/// it is told to run.
async fn held_of(
    connection: &impl ConnectionTrait,
    agent: &[u8],
) -> Result<Vec<deployment::Model>, CatalogError> {
    let newest_first = || {
        deployment::Entity::find()
            .filter(deployment::Column::Agent.eq(agent.to_vec()))
            .order_by_desc(deployment::Column::Number)
    };
    let succeeded =
        || newest_first().filter(deployment::Column::Status.eq(DeploymentStatus::Succeeded.as_str()));
    let mut held = newest_first()
        .filter(deployment::Column::Status.is_in(DeploymentStatus::OPEN))
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

/// The scripts that are still to judge a deployment.
async fn hold_scripts(
    connection: &impl ConnectionTrait,
    agents: &HashMap<Vec<u8>, String>,
    held: &mut HashMap<Vec<u8>, String>,
) -> Result<(), CatalogError> {
    let open = deployment::Entity::find()
        .filter(deployment::Column::Status.is_in(DeploymentStatus::OPEN))
        .filter(deployment::Column::RollbackScripts.is_not_null())
        .all(connection)
        .await?;
    for row in open {
        let Some(name) = agents.get(&row.agent) else { continue };
        for script in DeploymentRecord::try_from(row)?.rollback_scripts.values() {
            let path = script.strip_prefix(STORE).and_then(|rest| rest.split('/').next());
            if let Some(path) = path.and_then(|base| StorePath::from_base_name(base).ok()) {
                held.entry(path.hash().as_bytes().to_vec()).or_insert_with(|| name.clone());
            }
        }
    }
    Ok(())
}
