//! Background workers.

use admin_api::{ApiError, ListWorkers, PauseWorker, ResumeWorker, WorkerInfo};

use super::Answer;
use crate::http::state::State;
use crate::workers::{WorkerState, WorkerStatus};

pub(in crate::http) async fn list(state: &State, _: ListWorkers) -> Answer<Vec<WorkerInfo>> {
    let mut workers: Vec<_> = state.workers.list().iter().map(|worker| info(worker)).collect();
    workers.extend(announcer(state));
    workers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(workers)
}

pub(super) async fn pause(state: &State, request: PauseWorker) -> Answer<WorkerInfo> {
    set_paused(state, &request.worker, true)
}

pub(super) async fn resume(state: &State, request: ResumeWorker) -> Answer<WorkerInfo> {
    set_paused(state, &request.worker, false)
}

fn set_paused(state: &State, name: &str, paused: bool) -> Answer<WorkerInfo> {
    let worker = state.workers.find(name).ok_or_else(|| {
        let workers = state.workers.list();
        ApiError::unknown("worker", name, workers.iter().map(|worker| worker.name.as_str()))
    })?;
    worker.set_paused(paused);
    tracing::info!(worker = name, paused, "paused or resumed a worker");
    Ok(info(&worker))
}

/// Returns the announcer, which runs all the time and is therefore not among the workers proper.
fn announcer(state: &State) -> Option<WorkerInfo> {
    let status = state.federation.network()?.announcing();
    let waiting = (status.waiting > 0)
        .then(|| format!("{} of {} paths left", status.waiting, status.round.max(status.waiting)));
    Some(WorkerInfo {
        name: "announcer".to_owned(),
        state: if waiting.is_some() { admin_api::WorkerState::Working } else { admin_api::WorkerState::Idle },
        does: "announces paths to the network".to_owned(),
        last_run: None,
        next_run: None,
        last_error: None,
        errors_in_a_row: 0,
        progress: waiting,
    })
}

fn info(worker: &WorkerStatus) -> WorkerInfo {
    let next_run = worker.next_run();
    WorkerInfo {
        name: worker.name.clone(),
        state: match worker.state() {
            WorkerState::Idle if next_run.is_some() => admin_api::WorkerState::Waiting,
            WorkerState::Idle => admin_api::WorkerState::Idle,
            WorkerState::Working => admin_api::WorkerState::Working,
            WorkerState::Paused => admin_api::WorkerState::Paused,
            WorkerState::Failing => admin_api::WorkerState::Failing,
        },
        does: worker.purpose.to_owned(),
        last_run: worker.last_run().map(|time| time.0),
        next_run: next_run.map(|time| time.0),
        last_error: worker.last_error(),
        errors_in_a_row: worker.errors_in_a_row(),
        progress: worker.progress(),
    }
}
