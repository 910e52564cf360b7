//! The jobs that ran last, so that a restart neither forgets them nor uses their numbers again.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::job;
use crate::entity::values::Count;
use crate::writer::Written;
use crate::{Catalog, CatalogError};

/// A job of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedJob {
    /// The daemon; empty if it has the catalog to itself.
    pub node: String,
    /// Its number among the jobs of the daemon.
    pub number: u64,
    /// What the daemon knows of it, in a format of its own.
    pub info: String,
    /// What it was asked for, in the same format, as long as it has to be resumed when the daemon starts again.
    pub request: Option<String>,
}

impl Catalog {
    /// Returns the saved jobs of a daemon in the order of their numbers.
    pub async fn saved_jobs(&self, node: &str) -> Result<Vec<SavedJob>, CatalogError> {
        let rows = job::Entity::find()
            .filter(job::Column::Node.eq(node))
            .order_by_asc(job::Column::Number)
            .all(self.readers())
            .await?;
        let saved = |row: job::Model| SavedJob {
            node: row.node,
            number: row.number.get(),
            info: row.info,
            request: row.request,
        };
        Ok(rows.into_iter().map(saved).collect())
    }

    /// Saves a job, in place of what was saved of it before, and forgets those with a number lower than `oldest`,
    /// unless they have to be resumed.
    pub async fn save_job(&self, job: SavedJob, oldest: u64) -> Result<(), CatalogError> {
        self.write((job, oldest), |transaction, (job, oldest)| Box::pin(save(transaction, job, *oldest)))
            .await
    }
}

async fn save(
    transaction: &DatabaseTransaction,
    job: &SavedJob,
    oldest: u64,
) -> Result<Written<()>, CatalogError> {
    job::Entity::insert(job::ActiveModel {
        node: ActiveValue::Set(job.node.clone()),
        number: ActiveValue::Set(Count::new("the number of a job", job.number)?.into()),
        info: ActiveValue::Set(job.info.clone()),
        request: ActiveValue::Set(job.request.clone()),
    })
    .on_conflict(
        OnConflict::columns([job::Column::Node, job::Column::Number])
            .update_columns([job::Column::Info, job::Column::Request])
            .to_owned(),
    )
    .exec_without_returning(transaction)
    .await?;
    job::Entity::delete_many()
        .filter(job::Column::Node.eq(job.node.as_str()))
        .filter(job::Column::Number.lt(Count::new("the number of a job", oldest)?.signed()))
        .filter(job::Column::Request.is_null())
        .exec(transaction)
        .await?;
    Ok(Written::quietly(()))
}
