//! The events of a job, as one client receives them.

use std::sync::Arc;

use admin_api::{EVENTS_INTERVAL, JobEvent, JobRequest, NoteLevel};
use futures_util::{StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Duration, Instant, sleep_until};

use super::Events;
use crate::jobs::{End, Job, Started, Watching};

/// The shortest time between two events about the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Returns the events of a job from now on, beginning with its state.
pub(super) fn events(request: &JobRequest, started: Started) -> Events<JobEvent> {
    let Started { job, watching, joined } = started;
    let mut pending = vec![JobEvent::Started { job: job.info(), joined }];
    if joined
        && let JobRequest::Scrub { rate, restart, .. } = request
        && (rate.is_some() || *restart)
    {
        let text = "this scrub was already running and keeps its rate and its position".to_owned();
        pending.push(JobEvent::Note { level: NoteLevel::Warn, text });
    }
    pending.reverse();
    let watcher = Watcher { watching, job, pending, next: Instant::now(), changed: true, has_ended: false };
    stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await?, watcher)) }).boxed()
}

/// A client that watches a job.
struct Watcher {
    job: Arc<Job>,
    watching: Watching,
    /// Events to send first, the next one last.
    pending: Vec<JobEvent>,
    /// When to send the progress again if it has changed.
    next: Instant,
    changed: bool,
    has_ended: bool,
}

impl Watcher {
    /// Returns the next event; `None` after the last one.
    async fn next(&mut self) -> Option<JobEvent> {
        if let Some(event) = self.pending.pop() {
            return Some(event);
        }
        if self.has_ended {
            return None;
        }
        loop {
            let wake =
                if self.changed { self.next } else { self.next + (EVENTS_INTERVAL - PROGRESS_INTERVAL) / 2 };
            let Watching { changes, notes, end } = &mut self.watching;
            let wakeup = tokio::select! {
                biased;
                note = notes.recv() => Wakeup::Note(note),
                end = end.wait_for(Option::is_some) => Wakeup::End(end.ok()?.clone()?),
                changed = changes.changed(), if !self.changed => Wakeup::Change(changed.ok()?),
                () = sleep_until(wake) => Wakeup::Time,
            };
            match wakeup {
                Wakeup::Note(note) => match note {
                    Ok((level, text)) => return Some(JobEvent::Note { level, text }),
                    Err(RecvError::Lagged(missed)) => {
                        let text = format!("{missed} notes were not read in time and are left out");
                        return Some(JobEvent::Note { level: NoteLevel::Info, text });
                    }
                    // The job itself holds the other end.
                    Err(RecvError::Closed) => return None,
                },
                Wakeup::End(end) => {
                    self.has_ended = true;
                    // The final figures come before the end.
                    self.pending.push(last(&self.job, end));
                    return Some(self.progress());
                }
                Wakeup::Change(()) => self.changed = true,
                Wakeup::Time => {
                    self.changed = false;
                    self.watching.changes.mark_unchanged();
                    self.next = Instant::now() + PROGRESS_INTERVAL;
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

/// Why a watcher woke up.
enum Wakeup {
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
