//! Workspaces and agents. The configuration declares them; the catalog gives them ids and keeps those that are no longer
//! declared.

use std::collections::HashMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::entity::field::stored;
use crate::entity::values::Count;
use crate::entity::{agent, workspace};
use crate::writer::Written;
use crate::{AgentId, CacheId, Catalog, CatalogError, UnixTime, WorkspaceId, WorkspaceRecord};

/// The number of rows inserted at a time, so that their values fit into one statement.
const BATCH: usize = 500;

/// A workspace as the configuration declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredWorkspace {
    /// Its name, unique.
    pub name: String,
    /// The cache that its agents fetch from.
    pub cache: CacheId,
}

/// An agent as the configuration declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredAgent {
    /// Its name, unique over all workspaces.
    pub name: String,
    /// The name of its workspace. An agent of a workspace that is not declared counts as not declared.
    pub workspace: String,
}

/// An agent as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    /// The id that its client knows.
    pub id: AgentId,
    /// Its name, unique over all workspaces.
    pub name: String,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Whether the configuration declares it.
    pub enabled: bool,
    /// The version of its client at the last connection.
    pub version: Option<String>,
    /// The Nix system of its machine at the last connection.
    pub system: Option<String>,
    /// When it connected or disconnected last.
    pub last_seen_at: Option<UnixTime>,
}

/// All workspaces and agents by name, including undeclared ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// The workspaces.
    pub workspaces: Vec<WorkspaceRecord>,
    /// The agents.
    pub agents: Vec<AgentRecord>,
}

impl Catalog {
    /// Reconciles the workspaces and agents with the configuration: adds new ones, updates known ones and disables the rest.
    /// Removes nothing.
    pub async fn reconcile_fleet(
        &self,
        workspaces: &[DeclaredWorkspace],
        agents: &[DeclaredAgent],
    ) -> Result<Fleet, CatalogError> {
        let known = self.fleet().await?;
        if agrees(&known, workspaces, agents) {
            return Ok(known);
        }
        // Generated here and not in the transaction, which may run more than once.
        let agents: Vec<_> = agents.iter().map(|agent| (AgentId(Uuid::new_v4()), agent.clone())).collect();
        self.write((workspaces.to_vec(), agents), |transaction, (workspaces, agents)| {
            Box::pin(reconcile(transaction, workspaces, agents))
        })
        .await
    }

    /// Returns all workspaces and agents.
    pub async fn fleet(&self) -> Result<Fleet, CatalogError> {
        load(self.readers()).await
    }

    /// Records that an agent connected.
    pub async fn agent_connected(
        &self,
        agent: AgentId,
        version: String,
        system: String,
        at: UnixTime,
    ) -> Result<(), CatalogError> {
        self.write((agent, version, system, at), |transaction, (agent, version, system, at)| {
            Box::pin(async move {
                agent::Entity::update_many()
                    .col_expr(agent::Column::Version, version.as_str().into())
                    .col_expr(agent::Column::System, system.as_str().into())
                    .col_expr(agent::Column::LastSeenAt, (*at).into())
                    .filter(agent::Column::Id.eq(stored(agent)))
                    .exec(transaction)
                    .await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Records that an agent was connected until this time.
    pub async fn agent_disconnected(&self, agent: AgentId, at: UnixTime) -> Result<(), CatalogError> {
        self.write((agent, at), |transaction, (agent, at)| {
            Box::pin(async move {
                agent::Entity::update_many()
                    .col_expr(agent::Column::LastSeenAt, (*at).into())
                    .filter(agent::Column::Id.eq(stored(agent)))
                    .filter(agent::Column::LastSeenAt.lt(*at))
                    .exec(transaction)
                    .await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}

async fn reconcile(
    transaction: &DatabaseTransaction,
    workspaces: &[DeclaredWorkspace],
    agents: &[(AgentId, DeclaredAgent)],
) -> Result<Written<Fleet>, CatalogError> {
    let now = UnixTime::now();
    workspace::Entity::update_many()
        .col_expr(workspace::Column::Enabled, false.into())
        .exec(transaction)
        .await?;
    for some in workspaces.chunks(BATCH) {
        let rows = some.iter().map(|declared| workspace::ActiveModel {
            id: ActiveValue::NotSet,
            name: ActiveValue::Set(declared.name.clone()),
            cache: ActiveValue::Set(declared.cache),
            enabled: ActiveValue::Set(true),
            created_at: ActiveValue::Set(now),
        });
        workspace::Entity::insert_many(rows)
            .on_conflict(
                OnConflict::column(workspace::Column::Name)
                    .update_columns([workspace::Column::Cache, workspace::Column::Enabled])
                    .to_owned(),
            )
            .exec_without_returning(transaction)
            .await?;
    }
    let known = workspace::Entity::find().all(transaction).await?;
    let ids: HashMap<&str, WorkspaceId> = known
        .iter()
        .filter(|workspace| workspace.enabled)
        .map(|workspace| (workspace.name.as_str(), workspace.id))
        .collect();

    agent::Entity::update_many().col_expr(agent::Column::Enabled, false.into()).exec(transaction).await?;
    for some in agents.chunks(BATCH) {
        let rows: Vec<_> = some
            .iter()
            .filter_map(|(id, declared)| {
                let workspace = *ids.get(declared.workspace.as_str())?;
                Some(agent::ActiveModel {
                    id: ActiveValue::Set((*id).into()),
                    name: ActiveValue::Set(declared.name.clone()),
                    workspace: ActiveValue::Set(workspace),
                    enabled: ActiveValue::Set(true),
                    created_at: ActiveValue::Set(now),
                    last_number: ActiveValue::Set(Count::ZERO.into()),
                    version: ActiveValue::Set(None),
                    system: ActiveValue::Set(None),
                    last_seen_at: ActiveValue::Set(None),
                })
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        agent::Entity::insert_many(rows)
            .on_conflict(
                OnConflict::column(agent::Column::Name)
                    .update_columns([agent::Column::Workspace, agent::Column::Enabled])
                    .to_owned(),
            )
            .exec_without_returning(transaction)
            .await?;
    }
    load(transaction).await.map(Written::quietly)
}

/// Whether the catalog has exactly the declared workspaces and agents, and all others are disabled.
fn agrees(known: &Fleet, workspaces: &[DeclaredWorkspace], agents: &[DeclaredAgent]) -> bool {
    let caches: HashMap<&str, CacheId> =
        workspaces.iter().map(|workspace| (workspace.name.as_str(), workspace.cache)).collect();
    let enabled = known.workspaces.iter().filter(|workspace| workspace.enabled);
    let ids: HashMap<&str, WorkspaceId> =
        enabled.clone().map(|workspace| (workspace.name.as_str(), workspace.id)).collect();
    let workspaces_agree = ids.len() == caches.len()
        && enabled.clone().all(|workspace| caches.get(workspace.name.as_str()) == Some(&workspace.cache));
    let declared: HashMap<&str, WorkspaceId> = agents
        .iter()
        .filter_map(|agent| Some((agent.name.as_str(), *ids.get(agent.workspace.as_str())?)))
        .collect();
    let mut enabled = known.agents.iter().filter(|agent| agent.enabled);
    workspaces_agree
        && enabled.clone().count() == declared.len()
        && enabled.all(|agent| declared.get(agent.name.as_str()) == Some(&agent.workspace))
}

async fn load(connection: &impl sea_orm::ConnectionTrait) -> Result<Fleet, CatalogError> {
    let workspaces = workspace::Entity::find().order_by_asc(workspace::Column::Name).all(connection).await?;
    let agents = agent::Entity::find().order_by_asc(agent::Column::Name).all(connection).await?;
    Ok(Fleet { workspaces, agents: agents.into_iter().map(AgentRecord::from).collect() })
}

impl From<agent::Model> for AgentRecord {
    fn from(row: agent::Model) -> Self {
        Self {
            id: *row.id,
            name: row.name,
            workspace: row.workspace,
            enabled: row.enabled,
            version: row.version,
            system: row.system,
            last_seen_at: row.last_seen_at,
        }
    }
}
