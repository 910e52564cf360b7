//! Progress of long jobs over a storage, so that they resume after a restart.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, DatabaseTransaction, EntityTrait};

use crate::entity::storage_job;
use crate::entity::values::Count;
use crate::writer::Written;
use crate::{Catalog, CatalogError, NarId, StorageId, UnixTime};

/// A long job over the NAR files of a storage. Each storage has at most one of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageJob {
    /// Reads every file and checks its hash, as an operator asked for.
    Scrub,
    /// The same, slowly and all the time.
    SteadyScrub,
    /// Moves every file to another storage.
    Drain,
    /// Moves files to storages that are below their share.
    Rebalance,
}

impl StorageJob {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Scrub => "scrub",
            Self::SteadyScrub => "steady-scrub",
            Self::Drain => "drain",
            Self::Rebalance => "rebalance",
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        [Self::Scrub, Self::SteadyScrub, Self::Drain, Self::Rebalance]
            .into_iter()
            .find(|job| job.as_str() == text)
    }
}

/// The progress of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobState {
    /// The last file that it has processed, in the order of [`Catalog::nars_on`].
    pub after: Option<NarId>,
    /// When it started.
    pub started_at: UnixTime,
    /// When it ended.
    pub finished_at: Option<UnixTime>,
    /// The number of files processed.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// How many of them were damaged.
    pub damaged: u64,
    /// How many of them could be neither checked nor moved.
    pub failed: u64,
}

impl Catalog {
    /// Returns the saved progress of a job.
    pub async fn job_state(
        &self,
        storage: StorageId,
        job: StorageJob,
    ) -> Result<Option<JobState>, CatalogError> {
        let row = storage_job::Entity::find_by_id((storage, job.into())).one(self.readers()).await?;
        Ok(row.map(JobState::from))
    }

    /// Saves the progress of a job and replaces what was saved before.
    pub async fn save_job_state(
        &self,
        storage: StorageId,
        job: StorageJob,
        state: JobState,
    ) -> Result<(), CatalogError> {
        self.write((storage, job, state), |transaction, (storage, job, state)| {
            Box::pin(save(transaction, *storage, *job, state))
        })
        .await
    }
}

async fn save(
    transaction: &DatabaseTransaction,
    storage: StorageId,
    job: StorageJob,
    state: &JobState,
) -> Result<Written<()>, CatalogError> {
    use storage_job::Column;
    let count = |value| Count::new("a count", value).map(|count| ActiveValue::Set(count.into()));
    storage_job::Entity::insert(storage_job::ActiveModel {
        storage: ActiveValue::Set(storage),
        kind: ActiveValue::Set(job.into()),
        after: ActiveValue::Set(state.after),
        started_at: ActiveValue::Set(state.started_at),
        finished_at: ActiveValue::Set(state.finished_at),
        files: count(state.files)?,
        bytes: count(state.bytes)?,
        damaged: count(state.damaged)?,
        failed: count(state.failed)?,
    })
    .on_conflict(
        OnConflict::columns([Column::Storage, Column::Kind])
            .update_columns([
                Column::After,
                Column::StartedAt,
                Column::FinishedAt,
                Column::Files,
                Column::Bytes,
                Column::Damaged,
                Column::Failed,
            ])
            .to_owned(),
    )
    .exec_without_returning(transaction)
    .await?;
    Ok(Written::quietly(()))
}

impl From<storage_job::Model> for JobState {
    fn from(row: storage_job::Model) -> Self {
        Self {
            after: row.after,
            started_at: row.started_at,
            finished_at: row.finished_at,
            files: row.files.get(),
            bytes: row.bytes.get(),
            damaged: row.damaged.get(),
            failed: row.failed.get(),
        }
    }
}
