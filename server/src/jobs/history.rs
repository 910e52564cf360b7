//! Jobs in the catalog, so that a restart neither forgets the last ones nor uses their ids again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use admin_api::{JobInfo, JobRequest, JobState, StopCause};
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
        *self.interrupted.lock() = saved.into_iter().filter(|job| job.request.is_some()).collect();
        Ok(())
    }

    /// Starts again what ran when the daemon ended, as far as it goes on by itself.
    pub async fn resume(&self, core: &Arc<Core>) {
        let interrupted = std::mem::take(&mut *self.interrupted.lock());
        for saved in interrupted {
            let Some(request) = saved.request.as_deref().and_then(|text| serde_json::from_str(text).ok())
            else {
                continue;
            };
            match self.start_unattended(core, request) {
                Ok(started) => {
                    tracing::info!(job = started.job.info().id, earlier = saved.number, "resumed a job");
                }
                Err(error) => {
                    tracing::warn!(earlier = saved.number, error = error.message, "could not resume a job");
                }
            }
            // Both would join if the daemon ended here.
            let (number, oldest) = (saved.number, oldest_before(saved.number));
            if let Err(error) = core.catalog.save_job(SavedJob { request: None, ..saved }, oldest).await {
                tracing::warn!(job = number, error = %chain(&error), "a job could not be recorded");
            }
        }
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
    let request = if goes_on(job) { serde_json::to_string(&job.request).ok() } else { None };
    let saved = SavedJob { node: node(core), number, info: text, request };
    let oldest = oldest_before(number);
    if let Err(error) = core.catalog.save_job(saved, oldest).await {
        tracing::warn!(job = info.id, error = %chain(&error), "a job could not be recorded");
    }
}

/// Whether a job is to be resumed when the daemon starts again: an import or export that neither ended nor was told to stop.
fn goes_on(job: &Job) -> bool {
    let is_resumable = match &job.request {
        JobRequest::Import(import) => !import.dry_run,
        JobRequest::Export(export) => !export.dry_run,
        _ => false,
    };
    let may_go_on = matches!(job.info().state, JobState::Running | JobState::Stopped);
    is_resumable && may_go_on && !job.is_stopped_by(StopCause::Request)
}

/// The number of the oldest job that is remembered beside this one.
fn oldest_before(number: u64) -> u64 {
    number.saturating_sub(REMEMBERED as u64)
}

/// The daemon among those that share the catalog.
fn node(core: &Core) -> String {
    if core.catalog.is_shared() { node_url(&core.config().server) } else { String::new() }
}
