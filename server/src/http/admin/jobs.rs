//! Long jobs: started or joined, listed, stopped. The stream of their events is in `job_events`.

use admin_api::{ErrorCode, JobEvent, JobInfo, JobRequest, ListJobs, StopJob};
use tokio::time::{Duration, timeout};

use super::error::failure;
use super::job_events::events;
use super::{Answer, Events};
use crate::http::state::State;

/// How long a request to stop a job waits for the end of the job.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

pub(in crate::http) async fn list(state: &State, _: ListJobs) -> Answer<Vec<JobInfo>> {
    Ok(state.jobs.list())
}

pub(super) async fn start(state: &State, request: JobRequest) -> Answer<Events<JobEvent>> {
    let started = state.jobs.start(&state.core, request.clone())?;
    Ok(events(&request, started))
}

pub(super) async fn stop(state: &State, StopJob { id }: StopJob) -> Answer<JobInfo> {
    if let Some(ended) = state.jobs.find_earlier(&id) {
        return Ok(ended);
    }
    let job = state.jobs.stop(&id).ok_or_else(|| {
        let hint = Some("`cachectl job list` shows the ids");
        failure(ErrorCode::NotFound, format!("there is no job with the id `{id}`"), hint)
    })?;
    // A job stops between two files, and a large file takes its time. Then the reply says that the job still runs.
    let mut end = job.watch().end;
    let _ = timeout(STOP_TIMEOUT, end.wait_for(Option::is_some)).await;
    Ok(job.info())
}
