//! Deployments. The caller decides about transitions of their state; the writer guarantees that nothing happens between reading
//! and writing.

use std::collections::BTreeMap;

use nix_formats::StorePath;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect,
};

use crate::entity::field::{Field, stored};
use crate::entity::values::Count;
use crate::entity::{agent, deployment};
use crate::writer::Written;
use crate::{AgentId, Catalog, CatalogChange, CatalogError, DeploymentId, UnixTime};

/// The state of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeploymentStatus {
    /// Its agent has not started it.
    Pending,
    /// Its agent has started it.
    InProgress,
    /// It was cancelled.
    Cancelled,
    /// Its agent failed, or did not report in time.
    Failed,
    /// Its agent activated it.
    Succeeded,
}

impl DeploymentStatus {
    /// The states of deployments that have not ended.
    pub(crate) const OPEN: [Self; 2] = [Self::Pending, Self::InProgress];
    const ALL: [Self; 5] = [Self::Pending, Self::InProgress, Self::Cancelled, Self::Failed, Self::Succeeded];

    /// Returns the name that clients use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "InProgress",
            Self::Cancelled => "Cancelled",
            Self::Failed => "Failed",
            Self::Succeeded => "Succeeded",
        }
    }

    /// Returns the state with this name.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Returns whether the state is final.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Failed | Self::Succeeded)
    }
}

/// A deployment to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeployment {
    /// Its id, new.
    pub id: DeploymentId,
    /// Its agent.
    pub agent: AgentId,
    /// The system that the agent is to activate.
    pub store_path: StorePath,
    /// The rollback script for each Nix system.
    pub rollback_scripts: BTreeMap<String, String>,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentRecord {
    /// Its id.
    pub id: DeploymentId,
    /// Its agent.
    pub agent: AgentId,
    /// Its number among the deployments of its agent, from 1.
    pub number: u64,
    /// The system that the agent is to activate.
    pub store_path: String,
    /// The rollback script for each Nix system.
    pub rollback_scripts: BTreeMap<String, String>,
    /// Its state.
    pub status: DeploymentStatus,
    /// The size of the closure in bytes, once the agent has reported it.
    pub closure_size: Option<u64>,
    /// When it was added.
    pub created_at: UnixTime,
    /// When it was last sent to the agent, by our clock.
    pub delivered_at: Option<UnixTime>,
    /// When it started, by the clock of the agent.
    pub started_at: Option<UnixTime>,
    /// When it ended, by the clock of the agent if it reported the end, else by ours.
    pub finished_at: Option<UnixTime>,
    /// When the agent reported the start, by our clock.
    pub begun_at: Option<UnixTime>,
    /// The number of lines in its log.
    pub log_lines: u64,
    /// Whether the log lacks lines.
    pub log_truncated: bool,
}

/// The outcome of [`Catalog::add_deployments`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddedDeployments {
    /// The new ones, in the order in which they were given.
    pub added: Vec<DeploymentRecord>,
    /// Deployments that the new ones replaced.
    pub superseded: Vec<DeploymentRecord>,
}

impl Catalog {
    /// Adds all of the deployments or none. Cancels the pending ones of the same agents.
    pub async fn add_deployments(&self, new: Vec<NewDeployment>) -> Result<AddedDeployments, CatalogError> {
        self.write(new, |transaction, new| Box::pin(add(transaction, new))).await
    }

    /// Finds a deployment.
    pub async fn find_deployment(&self, id: DeploymentId) -> Result<Option<DeploymentRecord>, CatalogError> {
        Ok(find(self.readers(), id).await?.map(DeploymentRecord::from))
    }

    /// Finds the deployment with this number of an agent.
    pub async fn find_deployment_of(
        &self,
        agent: AgentId,
        number: u64,
    ) -> Result<Option<DeploymentRecord>, CatalogError> {
        let row = deployment::Entity::find()
            .filter(deployment::Column::Agent.eq(stored(&agent)))
            .filter(deployment::Column::Number.eq(stored(&Count::new("the number of a deployment", number)?)))
            .one(self.readers())
            .await?;
        Ok(row.map(DeploymentRecord::from))
    }

    /// Applies `change` to a deployment. Returns the deployment afterwards and whether it changed, `None` if it does not exist.
    /// Its id, agent, number, paths and log never change.
    pub async fn change_deployment<F>(
        &self,
        id: DeploymentId,
        change: F,
    ) -> Result<Option<(DeploymentRecord, bool)>, CatalogError>
    where
        F: Fn(&DeploymentRecord) -> Option<DeploymentRecord> + Send + Sync + 'static,
    {
        let change: Change = Box::new(change);
        self.write((id, change), |transaction, (id, change)| Box::pin(apply(transaction, *id, change))).await
    }

    /// Returns the first deployment of an agent that has not ended.
    pub async fn open_deployment(&self, agent: AgentId) -> Result<Option<DeploymentRecord>, CatalogError> {
        let row = open()
            .filter(deployment::Column::Agent.eq(stored(&agent)))
            .order_by_asc(deployment::Column::Number)
            .one(self.readers())
            .await?;
        Ok(row.map(DeploymentRecord::from))
    }

    /// Returns all deployments that have not ended.
    pub async fn open_deployments(&self) -> Result<Vec<DeploymentRecord>, CatalogError> {
        Ok(records(open().all(self.readers()).await?))
    }

    /// Returns at most `limit` deployments of an agent before the one with the number `before`, newest first.
    pub async fn deployments_before(
        &self,
        agent: AgentId,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<DeploymentRecord>, CatalogError> {
        let mut query = deployment::Entity::find().filter(deployment::Column::Agent.eq(stored(&agent)));
        if let Some(before) = before {
            let before = Count::new("the number of a deployment", before)?;
            query = query.filter(deployment::Column::Number.lt(stored(&before)));
        }
        let query = query.order_by_desc(deployment::Column::Number).limit(limit);
        Ok(records(query.all(self.readers()).await?))
    }

    /// Returns at most `limit` of the newest deployments, of one agent or all, in one state or any.
    pub async fn list_deployments(
        &self,
        agent: Option<AgentId>,
        status: Option<DeploymentStatus>,
        limit: u64,
    ) -> Result<Vec<DeploymentRecord>, CatalogError> {
        let mut query = deployment::Entity::find();
        query = match agent {
            Some(agent) => query.filter(deployment::Column::Agent.eq(stored(&agent))),
            // The numbers order the deployments of one agent, whatever the clock did.
            None => query.order_by_desc(deployment::Column::CreatedAt),
        };
        if let Some(status) = status {
            query = query.filter(deployment::Column::Status.eq(stored(&status)));
        }
        let query = query.order_by_desc(deployment::Column::Number).limit(limit);
        Ok(records(query.all(self.readers()).await?))
    }
}

type Change = Box<dyn Fn(&DeploymentRecord) -> Option<DeploymentRecord> + Send + Sync>;

fn open() -> sea_orm::Select<deployment::Entity> {
    deployment::Entity::find()
        .filter(deployment::Column::Status.is_in(DeploymentStatus::OPEN.iter().map(stored)))
}

pub(super) async fn find(
    connection: &impl ConnectionTrait,
    id: DeploymentId,
) -> Result<Option<deployment::Model>, CatalogError> {
    Ok(deployment::Entity::find_by_id(id).one(connection).await?)
}

fn records(rows: Vec<deployment::Model>) -> Vec<DeploymentRecord> {
    rows.into_iter().map(DeploymentRecord::from).collect()
}

async fn add(
    transaction: &DatabaseTransaction,
    new: &[NewDeployment],
) -> Result<Written<AddedDeployments>, CatalogError> {
    let now = UnixTime::now();
    let mut done = AddedDeployments::default();
    let mut changes = Vec::new();
    for new in new {
        let pending = deployment::Entity::find()
            .filter(deployment::Column::Agent.eq(stored(&new.agent)))
            .filter(deployment::Column::Status.eq(stored(&DeploymentStatus::Pending)))
            .all(transaction)
            .await?;
        for row in pending {
            let mut superseded = DeploymentRecord::from(row);
            superseded.status = DeploymentStatus::Cancelled;
            superseded.finished_at = Some(now);
            save(transaction, &superseded).await?;
            done.superseded.push(superseded);
        }
        let number = next_number(transaction, new.agent).await?;
        let scripts = (!new.rollback_scripts.is_empty()).then(|| new.rollback_scripts.clone());
        let row = deployment::ActiveModel {
            id: ActiveValue::Set(new.id.into()),
            agent: ActiveValue::Set(new.agent.into()),
            number: ActiveValue::Set(number.into()),
            store_path: ActiveValue::Set(new.store_path.to_full_path()),
            path_hash: ActiveValue::Set((*new.store_path.hash()).into()),
            rollback_scripts: ActiveValue::Set(scripts.map(Into::into)),
            status: ActiveValue::Set(DeploymentStatus::Pending.into()),
            closure_size: ActiveValue::Set(None),
            created_at: ActiveValue::Set(now),
            delivered_at: ActiveValue::Set(None),
            started_at: ActiveValue::Set(None),
            finished_at: ActiveValue::Set(None),
            begun_at: ActiveValue::Set(None),
            log_lines: ActiveValue::Set(Count::ZERO.into()),
            log_bytes: ActiveValue::Set(Count::ZERO.into()),
            log_truncated: ActiveValue::Set(false),
        };
        done.added.push(row.insert(transaction).await?.into());
        changes.push(CatalogChange::Deployments { agent: new.agent });
    }
    Ok(Written::with_changes(done, changes))
}

async fn next_number(transaction: &DatabaseTransaction, agent: AgentId) -> Result<Count, CatalogError> {
    let row = agent::Entity::find_by_id(agent).one(transaction).await?;
    let number = row.map_or(Count::ZERO, |agent| *agent.last_number).plus(1);
    agent::Entity::update_many()
        .col_expr(agent::Column::LastNumber, stored(&number).into())
        .filter(agent::Column::Id.eq(stored(&agent)))
        .exec(transaction)
        .await?;
    Ok(number)
}

async fn apply(
    transaction: &DatabaseTransaction,
    id: DeploymentId,
    change: &Change,
) -> Result<Written<Option<(DeploymentRecord, bool)>>, CatalogError> {
    let Some(row) = find(transaction, id).await? else { return Ok(Written::quietly(None)) };
    let record = DeploymentRecord::from(row);
    match change(&record) {
        Some(changed) if changed != record => {
            save(transaction, &changed).await?;
            let changes = vec![CatalogChange::Deployments { agent: record.agent }];
            Ok(Written::with_changes(Some((changed, true)), changes))
        }
        _ => Ok(Written::quietly(Some((record, false)))),
    }
}

async fn save(transaction: &DatabaseTransaction, record: &DeploymentRecord) -> Result<(), CatalogError> {
    let closure_size =
        record.closure_size.map(|size| Count::new("the size of a closure", size)).transpose()?;
    deployment::Entity::update_many()
        .col_expr(deployment::Column::Status, stored(&record.status).into())
        .col_expr(deployment::Column::ClosureSize, closure_size.map(Count::signed).into())
        .col_expr(deployment::Column::DeliveredAt, record.delivered_at.into())
        .col_expr(deployment::Column::StartedAt, record.started_at.into())
        .col_expr(deployment::Column::FinishedAt, record.finished_at.into())
        .col_expr(deployment::Column::BegunAt, record.begun_at.into())
        .filter(deployment::Column::Id.eq(stored(&record.id)))
        .exec(transaction)
        .await?;
    Ok(())
}

impl From<deployment::Model> for DeploymentRecord {
    fn from(row: deployment::Model) -> Self {
        Self {
            id: *row.id,
            agent: *row.agent,
            number: row.number.get(),
            store_path: row.store_path,
            rollback_scripts: row.rollback_scripts.map(Field::into_inner).unwrap_or_default(),
            status: *row.status,
            closure_size: row.closure_size.map(|size| size.get()),
            created_at: row.created_at,
            delivered_at: row.delivered_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            begun_at: row.begun_at,
            log_lines: row.log_lines.get(),
            log_truncated: row.log_truncated,
        }
    }
}
