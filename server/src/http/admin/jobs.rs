//! `/v1/jobs`: long jobs, started or joined, told about line by line.

use std::convert::Infallible;
use std::sync::Arc;

use admin_api::{ApiError, EVENTS_INTERVAL, EVENTS_MEDIA_TYPE, ErrorCode, JobEvent, JobRequest, NoteLevel};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Duration, Instant, sleep_until};
use warp::Filter;
use warp::reply::{Reply, Response};

use super::error::failure;
use super::{IntoReply, body, reply};
use crate::http::state::State;
use crate::http::{Route, any_of};
use crate::jobs::{End, Job, Watching};

/// Shortest time between two lines about the progress.
const SHORTEST: Duration = Duration::from_millis(200);

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    any_of([start(state.clone()).boxed(), list(state.clone()).boxed(), stop(state.clone()).boxed()])
}

fn list(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "jobs").and(warp::get()).then(move || {
        let state = state.clone();
        reply(async move { Ok::<_, ApiError>(state.jobs.list()) })
    })
}

fn stop(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "jobs" / String / "stop").and(warp::post()).then(move |id: String| {
        let state = state.clone();
        reply(async move {
            let job = state.jobs.stop(&id).ok_or_else(|| {
                let hint = Some("`cachectl job list` shows the ids");
                failure(ErrorCode::NotFound, format!("there is no job with id {id}"), hint)
            })?;
            // It stops between two files; a large one takes its time.
            let mut end = job.watch().end;
            let _ = tokio::time::timeout(Duration::from_secs(10), end.wait_for(Option::is_some)).await;
            Ok::<_, ApiError>(job.info())
        })
    })
}

fn start(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "jobs").and(warp::post()).and(warp::body::stream()).then(move |stream| {
        let state = state.clone();
        async move {
            let request = body::json::<JobRequest, _, _>(stream).await;
            let started = request.and_then(|request| {
                let started = state.jobs.start(&state.core, request.clone())?;
                Ok((request, started))
            });
            match started {
                Ok((request, (job, joined))) => events(&request, job, joined),
                Err(error) => error.into_reply(),
            }
        }
    })
}

fn events(request: &JobRequest, job: Arc<Job>, joined: bool) -> Response {
    let mut pending = vec![JobEvent::Started { job: job.info(), joined }];
    if joined
        && let JobRequest::Scrub { rate, restart, .. } = request
        && (rate.is_some() || *restart)
    {
        let text = "the scrub runs already; its rate and its beginning stay as they are".to_owned();
        pending.push(JobEvent::Note { level: NoteLevel::Warn, text });
    }
    pending.reverse();
    let telling =
        Telling { watching: job.watch(), job, pending, next: Instant::now(), changed: true, ended: false };
    let mut response = warp::reply::stream(lines(telling)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS_MEDIA_TYPE));
    response
}

/// What one watcher has been told.
struct Telling {
    job: Arc<Job>,
    watching: Watching,
    /// Events to tell first, the next one last.
    pending: Vec<JobEvent>,
    /// When to tell about the progress again if it has changed.
    next: Instant,
    changed: bool,
    ended: bool,
}

fn lines(telling: Telling) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(telling, |mut telling| async move {
        let event = telling.next().await?;
        let mut line = serde_json::to_vec(&event).unwrap_or_default();
        line.push(b'\n');
        Some((Ok(Bytes::from(line)), telling))
    })
}

impl Telling {
    /// The next event; none after the last one.
    async fn next(&mut self) -> Option<JobEvent> {
        if let Some(event) = self.pending.pop() {
            return Some(event);
        }
        if self.ended {
            return None;
        }
        loop {
            let wake = if self.changed { self.next } else { self.next + (EVENTS_INTERVAL - SHORTEST) / 2 };
            let Watching { changes, notes, end } = &mut self.watching;
            let happened = tokio::select! {
                biased;
                note = notes.recv() => Happened::Note(note),
                end = end.wait_for(Option::is_some) => Happened::End(end.ok()?.clone()?),
                changed = changes.changed(), if !self.changed => Happened::Change(changed.ok()?),
                () = sleep_until(wake) => Happened::Time,
            };
            match happened {
                Happened::Note(note) => match note {
                    Ok((level, text)) => return Some(JobEvent::Note { level, text }),
                    Err(RecvError::Lagged(missed)) => {
                        let text = format!("{missed} notes went by unseen; the daemon's log has them");
                        return Some(JobEvent::Note { level: NoteLevel::Info, text });
                    }
                    // The job itself holds the other end.
                    Err(RecvError::Closed) => return None,
                },
                Happened::End(end) => {
                    self.ended = true;
                    // The figures of the last moment are worth a line.
                    self.pending.push(last(&self.job, end));
                    return Some(self.progress());
                }
                Happened::Change(()) => self.changed = true,
                Happened::Time => {
                    self.changed = false;
                    self.watching.changes.mark_unchanged();
                    self.next = Instant::now() + SHORTEST;
                    return Some(self.progress());
                }
            }
        }
    }

    fn progress(&self) -> JobEvent {
        let info = self.job.info();
        JobEvent::Progress {
            done: info.done,
            total: info.total,
            unit: info.unit,
            message: self.job.message(),
        }
    }
}

/// What a watcher was waiting for.
enum Happened {
    Note(Result<(NoteLevel, String), RecvError>),
    End(End),
    Change(()),
    Time,
}

fn last(job: &Job, end: End) -> JobEvent {
    match end {
        End::Done(summary) => JobEvent::Done { summary },
        End::Failed(error) => JobEvent::Failed { error },
        End::Stopped(cause) => JobEvent::Stopped { cause, job: job.info() },
    }
}
