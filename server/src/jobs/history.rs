//! Jobs in the catalog, so that a restart neither forgets the last ones nor uses their ids again.

use std::sync::atomic::Ordering;

use admin_api::{JobInfo, JobState};
use catalog::{CatalogError, SavedJob, UnixTime};

use super::job::Job;
use super::{Jobs, REMEMBERED, meter};
use crate::chain::chain;
use crate::core::Core;
use crate::origin::node_url;

impl Jobs {
    /// Loads what earlier runs of the daemon have left. To be called before any job is started.
    pub async fn load_history(&self, core: &Core) -> Result<(), CatalogError> {
        let saved = core.catalog.saved_jobs(&node(core)).await?;
        let last = saved.last().map_or(0, |job| job.number);
        self.last_id.fetch_max(last, Ordering::Relaxed);
        // One of a later version may look different.
        let jobs = saved.iter().filter_map(|job| serde_json::from_str(&job.info).ok());
        let jobs: Vec<JobInfo> = jobs.map(ended).collect();
        jobs.iter().for_each(meter::note_earlier);
        *self.earlier.lock() = jobs;
        Ok(())
    }
}

/// A job as it is after the daemon that ran it has ended.
fn ended(job: JobInfo) -> JobInfo {
    if job.state != JobState::Running {
        return job;
    }
    JobInfo {
        state: JobState::Stopped,
        finished_at: Some(UnixTime::now().0),
        last_error: Some("the daemon ended before the job did".to_owned()),
        ..job
    }
}

/// Saves what is known of a job. It runs all the same if that fails.
pub(super) async fn save(core: &Core, job: &Job) {
    let info = job.info();
    let (Ok(number), Ok(text)) = (info.id.parse(), serde_json::to_string(&info)) else { return };
    let saved = SavedJob { node: node(core), number, info: text };
    let oldest = number.saturating_sub(REMEMBERED as u64);
    if let Err(error) = core.catalog.save_job(saved, oldest).await {
        tracing::warn!(job = info.id, error = %chain(&error), "a job could not be recorded");
    }
}

/// The daemon among those that share the catalog.
fn node(core: &Core) -> String {
    if core.catalog.is_shared() { node_url(&core.config().server) } else { String::new() }
}
