//! `/v1/workers`.

use std::sync::Arc;

use admin_api::{ApiError, ErrorCode, WorkerInfo};
use warp::Filter;

use super::error::failure;
use super::{decoded, reply};
use crate::http::state::State;
use crate::http::{Route, any_of};
use crate::workers::{WorkerState, WorkerStatus};

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let pause = set_paused(state.clone(), "pause", true);
    let resume = set_paused(state.clone(), "resume", false);
    any_of([list(state.clone()).boxed(), pause.boxed(), resume.boxed()])
}

fn list(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "workers").and(warp::get()).then(move || {
        let state = state.clone();
        reply(async move {
            let mut workers: Vec<_> = state.workers.list().iter().map(|worker| info(worker)).collect();
            workers.extend(announcer(&state));
            workers.sort_by(|a, b| a.name.cmp(&b.name));
            Ok::<_, ApiError>(workers)
        })
    })
}

/// What tells the network which paths are here. It runs beside the others, as it is at work all the time.
fn announcer(state: &State) -> Option<WorkerInfo> {
    let status = state.federation.network()?.announcing();
    let waiting = (status.waiting > 0)
        .then(|| format!("{} of {} paths left", status.waiting, status.round.max(status.waiting)));
    Some(WorkerInfo {
        name: "announcer".to_owned(),
        state: if waiting.is_some() { admin_api::WorkerState::Working } else { admin_api::WorkerState::Idle },
        does: "tells the network which paths are here".to_owned(),
        last_run: None,
        next_run: None,
        last_error: None,
        errors_in_a_row: 0,
        progress: waiting,
    })
}

fn set_paused(state: Arc<State>, verb: &'static str, paused: bool) -> impl Route {
    let path = warp::path("v1").and(warp::path("workers")).and(warp::path::param::<String>());
    path.and(warp::path(verb)).and(warp::path::end()).and(warp::post()).then(move |name: String| {
        let state = state.clone();
        reply(async move {
            let name = decoded(&name);
            let worker = state.workers.find(&name).ok_or_else(|| {
                let hint = Some("`cachectl worker list` shows the workers");
                failure(ErrorCode::NotFound, format!("there is no worker called `{name}`"), hint)
            })?;
            worker.set_paused(paused);
            tracing::info!(worker = name, paused, "a worker was paused or resumed");
            Ok(info(&worker))
        })
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
        progress: None,
    }
}
