//! One job: how far it has come, who watches it, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use admin_api::{ApiError, JobInfo, JobRequest, JobState, JobSummary, NoteLevel, StopCause, Unit};
use catalog::UnixTime;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::JobError;
use super::scope::Scope;

/// Notes that are kept for a slow watcher. What it does not take in time it does not see; the log has all of them.
const NOTES: usize = 256;
/// How long a watcher may read nothing before the job goes on without it.
const IDLE: Duration = Duration::from_secs(30);
/// How often to look whether it has read something.
const POLL: Duration = Duration::from_millis(2);

/// A job.
pub struct Job {
    pub(super) request: JobRequest,
    pub(super) scope: Scope,
    info: Mutex<JobInfo>,
    /// Counts up with every change of the progress.
    changes: watch::Sender<u64>,
    notes: broadcast::Sender<(NoteLevel, String)>,
    end: watch::Sender<Option<End>>,
    stop: CancellationToken,
    stop_cause: Mutex<StopCause>,
    message: Mutex<Option<String>>,
    /// Whether no operator asked for it.
    unattended: AtomicBool,
}

/// How a job ended.
#[derive(Debug, Clone)]
pub enum End {
    /// It came to its end.
    Done(JobSummary),
    /// It had to give up.
    Failed(ApiError),
    /// It was told to stop.
    Stopped(StopCause),
}

/// What someone sees who watches a job.
pub struct Watching {
    /// Changes with the progress.
    pub changes: watch::Receiver<u64>,
    /// What is noted from now on.
    pub notes: broadcast::Receiver<(NoteLevel, String)>,
    /// Set when the job ends.
    pub end: watch::Receiver<Option<End>>,
}

impl Job {
    pub(super) fn new(id: u64, request: JobRequest, scope: Scope, unattended: bool) -> Self {
        let info = JobInfo {
            id: id.to_string(),
            kind: request.kind(),
            subject: subject(&request, &scope),
            started_at: UnixTime::now().0,
            finished_at: None,
            state: JobState::Running,
            done: 0,
            total: None,
            unit: Unit::Files,
            last_error: None,
            summary: None,
        };
        Self {
            request,
            scope,
            info: Mutex::new(info),
            changes: watch::Sender::new(0),
            notes: broadcast::Sender::new(NOTES),
            end: watch::Sender::new(None),
            stop: CancellationToken::new(),
            stop_cause: Mutex::new(StopCause::Request),
            message: Mutex::default(),
            unattended: AtomicBool::new(unattended),
        }
    }

    /// How it is doing.
    pub fn info(&self) -> JobInfo {
        lock(&self.info).clone()
    }

    /// What it is at now, for a person.
    pub fn message(&self) -> Option<String> {
        lock(&self.message).clone()
    }

    /// What it works on, for a person.
    pub fn subject(&self) -> String {
        subject(&self.request, &self.scope)
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.end.borrow().is_none()
    }

    /// An operator asked for what it does as well.
    pub(super) fn attend(&self) {
        self.unattended.store(false, Ordering::Relaxed);
    }

    /// Begins to watch it.
    pub fn watch(&self) -> Watching {
        Watching {
            changes: self.changes.subscribe(),
            notes: self.notes.subscribe(),
            end: self.end.subscribe(),
        }
    }

    /// Tells it to stop at the next opportunity.
    pub(super) fn stop(&self, cause: StopCause) {
        if !self.stop.is_cancelled() {
            *lock(&self.stop_cause) = cause;
            self.stop.cancel();
        }
    }

    /// Whether it was told to stop, and for this cause.
    pub(super) fn is_stopped_by(&self, cause: StopCause) -> bool {
        self.stop.is_cancelled() && self.stop_cause() == cause
    }

    pub(super) fn stop_cause(&self) -> StopCause {
        *lock(&self.stop_cause)
    }

    pub(super) fn end(&self, end: End) {
        let mut info = lock(&self.info);
        info.finished_at = Some(UnixTime::now().0);
        match &end {
            End::Done(summary) => {
                info.state = JobState::Done;
                info.summary = Some(summary.clone());
            }
            End::Failed(error) => {
                info.state = JobState::Failed;
                info.last_error = Some(error.message.clone());
            }
            End::Stopped(_) => info.state = JobState::Stopped,
        }
        drop(info);
        self.end.send_replace(Some(end));
    }
}

/// What a job works on, or makes, for a person.
fn subject(request: &JobRequest, scope: &Scope) -> String {
    match request {
        JobRequest::Backup { file } => file.clone(),
        JobRequest::DeleteCache { cache } => cache.clone(),
        JobRequest::Export(export) => format!("{} to {}", export.cache, export.target),
        JobRequest::Import(import) => format!("{} into {}", import.source, import.cache),
        _ => scope.text(),
    }
}

/// What a job tells while it runs.
pub(super) struct Reporter {
    job: Arc<Job>,
    /// Whether a watcher has not read for so long that nobody waits for it any more.
    has_idle_watcher: AtomicBool,
}

impl Reporter {
    pub(super) fn new(job: Arc<Job>) -> Self {
        Self { job, has_idle_watcher: AtomicBool::new(false) }
    }

    /// Whether no operator has asked for the job.
    pub(super) fn is_unattended(&self) -> bool {
        self.job.unattended.load(Ordering::Relaxed)
    }

    /// Begins a part of the work.
    pub(super) fn begin(
        &self,
        message: impl Into<Option<String>>,
        unit: Unit,
        done: u64,
        total: Option<u64>,
    ) {
        *lock(&self.job.message) = message.into();
        self.change(|info| {
            info.unit = unit;
            info.done = done;
            info.total = total;
        });
    }

    /// Something more is done.
    pub(super) fn advance(&self, by: u64) {
        self.change(|info| {
            info.done = info.done.saturating_add(by);
            // What is pushed meanwhile is done as well.
            info.total = info.total.map(|total| total.max(info.done));
        });
    }

    /// Tells something that a person should know.
    pub(super) fn note(&self, level: NoteLevel, text: String) {
        let info = lock(&self.job.info).clone();
        match level {
            NoteLevel::Warn => {
                tracing::warn!(job = info.id, "{text}");
                self.change(|info| info.last_error = Some(text.clone()));
            }
            NoteLevel::Info => tracing::info!(job = info.id, "{text}"),
        }
        // Nobody may be watching.
        let _ = self.job.notes.send((level, text));
    }

    /// Tells watchers something that is not worth a line in the log. Waits while they are behind, so that they miss nothing,
    /// unless one of them does not read at all.
    pub(super) async fn tell(&self, text: String) {
        let begun = Instant::now();
        while self.job.notes.len() >= NOTES / 2 && !self.has_idle_watcher.load(Ordering::Relaxed) {
            if begun.elapsed() > IDLE {
                self.has_idle_watcher.store(true, Ordering::Relaxed);
            }
            tokio::time::sleep(POLL).await;
        }
        // Nobody may be watching.
        let _ = self.job.notes.send((NoteLevel::Info, text));
    }

    /// Fails when the job is to stop.
    pub(super) fn check(&self) -> Result<(), JobError> {
        if self.job.stop.is_cancelled() { Err(JobError::Stopped) } else { Ok(()) }
    }

    /// Told when the job is to stop.
    pub(super) fn stop_token(&self) -> CancellationToken {
        self.job.stop.clone()
    }

    fn change(&self, change: impl FnOnce(&mut JobInfo)) {
        change(&mut lock(&self.job.info));
        self.job.changes.send_modify(|count| *count += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
