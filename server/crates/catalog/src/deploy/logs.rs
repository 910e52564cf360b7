//! The logs of deployments.

use sea_orm::{
    ActiveValue, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::deployments::{DeploymentStatus, find};
use crate::entity::field::{Field, stored};
use crate::entity::values::Count;
use crate::entity::{deployment, deployment_log};
use crate::writer::Written;
use crate::{Catalog, CatalogError, DeploymentId, UnixTime};

/// The number of rows inserted at a time, so that their values fit into one statement.
const BATCH: usize = 1000;
/// The most deployments whose logs are removed in one transaction.
const FORGOTTEN_AT_ONCE: u64 = 50;
/// Bytes beyond the limit that are reserved for final lines.
const LAST_LINES: u64 = 64 << 10;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The time as the agent wrote it.
    pub time: String,
    /// The text without the line break.
    pub line: String,
    /// Whether the line reports the outcome of the deployment. Such a line is kept even if the log is full.
    pub is_last: bool,
}

/// A line of a log with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedLine {
    /// Its number in the log, from 1.
    pub number: u64,
    /// The time as the agent wrote it.
    pub time: String,
    /// The text without the line break.
    pub line: String,
}

/// Lines to append to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAppend {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The lines.
    pub lines: Vec<LogLine>,
    /// The most bytes that the log may have.
    pub limit: u64,
    /// The line that replaces, once, all lines that do not fit.
    pub notice: LogLine,
}

impl Catalog {
    /// Appends lines to a log as long as they fit. Returns false if the deployment does not exist.
    pub async fn append_log(&self, append: LogAppend) -> Result<bool, CatalogError> {
        self.write(append, |transaction, append| Box::pin(add(transaction, append))).await
    }

    /// Returns up to `limit` lines of a log after the line with number `after`, in order.
    pub async fn read_log(
        &self,
        deployment: DeploymentId,
        after: u64,
        limit: u64,
    ) -> Result<Vec<NumberedLine>, CatalogError> {
        let lines = deployment_log::Entity::find()
            .filter(deployment_log::Column::Deployment.eq(stored(&deployment)))
            .filter(deployment_log::Column::Number.gt(stored(&Count::new("the number of a line", after)?)))
            .order_by_asc(deployment_log::Column::Number)
            .limit(limit)
            .all(self.readers())
            .await?;
        Ok(lines.into_iter().map(NumberedLine::from).collect())
    }

    /// Removes the logs of some deployments that have ended and were neither added, delivered nor started since `before`.
    /// Returns how many; repeat it until it returns 0.
    pub async fn forget_logs(&self, before: UnixTime) -> Result<u64, CatalogError> {
        self.write(before, |transaction, before| Box::pin(forget(transaction, *before))).await
    }
}

async fn add(transaction: &DatabaseTransaction, append: &LogAppend) -> Result<Written<bool>, CatalogError> {
    let Some(row) = find(transaction, append.deployment).await? else { return Ok(Written::quietly(false)) };
    let (mut number, mut bytes, mut truncated) = (*row.log_lines, *row.log_bytes, row.log_truncated);
    let mut added = Vec::new();
    let mut push = |line: &LogLine, bytes: &mut Count| {
        number = number.plus(1);
        *bytes = bytes.plus(size_of(line));
        added.push(deployment_log::ActiveModel {
            deployment: ActiveValue::Set(append.deployment.into()),
            number: ActiveValue::Set(number.into()),
            time: ActiveValue::Set(line.time.clone()),
            line: ActiveValue::Set(line.line.clone()),
        });
    };
    for line in &append.lines {
        let room = if line.is_last { append.limit.saturating_add(LAST_LINES) } else { append.limit };
        // After a line was left out, later and shorter ones are left out as well.
        if bytes.plus(size_of(line)).get() <= room && (line.is_last || !truncated) {
            push(line, &mut bytes);
        } else if !truncated {
            truncated = true;
            push(&append.notice, &mut bytes);
        }
    }
    while !added.is_empty() {
        let some = added.split_off(added.len().saturating_sub(BATCH));
        deployment_log::Entity::insert_many(some).exec_without_returning(transaction).await?;
    }
    deployment::Entity::update_many()
        .col_expr(deployment::Column::LogLines, stored(&number).into())
        .col_expr(deployment::Column::LogBytes, stored(&bytes).into())
        .col_expr(deployment::Column::LogTruncated, truncated.into())
        .filter(deployment::Column::Id.eq(row.id))
        .exec(transaction)
        .await?;
    Ok(Written::quietly(true))
}

fn size_of(line: &LogLine) -> u64 {
    (line.line.len() + line.time.len()) as u64
}

async fn forget(transaction: &DatabaseTransaction, before: UnixTime) -> Result<Written<u64>, CatalogError> {
    let old: Vec<Field<deployment::Entity, DeploymentId>> = deployment::Entity::find()
        .select_only()
        .column(deployment::Column::Id)
        .filter(deployment::Column::Status.is_not_in(DeploymentStatus::OPEN.iter().map(stored)))
        // These times are by our clock; the end is known only by the clock of the agent.
        .filter(deployment::Column::CreatedAt.lt(before))
        .filter(null_or_before(deployment::Column::DeliveredAt, before))
        .filter(null_or_before(deployment::Column::BegunAt, before))
        .filter(deployment::Column::LogLines.gt(0))
        .limit(FORGOTTEN_AT_ONCE)
        .into_tuple()
        .all(transaction)
        .await?;
    deployment_log::Entity::delete_many()
        .filter(deployment_log::Column::Deployment.is_in(old.iter().cloned()))
        .exec(transaction)
        .await?;
    let forgotten = deployment::Entity::update_many()
        .col_expr(deployment::Column::LogLines, 0.into())
        .col_expr(deployment::Column::LogBytes, 0.into())
        .col_expr(deployment::Column::LogTruncated, true.into())
        .filter(deployment::Column::Id.is_in(old))
        .exec(transaction)
        .await?;
    Ok(Written::quietly(forgotten.rows_affected))
}

fn null_or_before(column: deployment::Column, time: UnixTime) -> Condition {
    Condition::any().add(column.is_null()).add(column.lt(time))
}

impl From<deployment_log::Model> for NumberedLine {
    fn from(row: deployment_log::Model) -> Self {
        Self { number: row.number.get(), time: row.time, line: row.line }
    }
}
