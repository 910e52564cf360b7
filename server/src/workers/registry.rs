//! What is known about the workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::UnixTime;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::jobs::Jobs;

/// All workers of the daemon.
pub struct Workers {
    /// What some of them start.
    pub(super) jobs: Arc<Jobs>,
    list: Mutex<Vec<Arc<WorkerStatus>>>,
    /// Those that come and go with a reload.
    pub(super) of_config: Mutex<Vec<OfConfig>>,
    pub(super) running: TaskTracker,
    pub(super) stopping: CancellationToken,
}

/// A worker that the configuration asks for.
pub(super) struct OfConfig {
    pub(super) subject: Subject,
    pub(super) status: Arc<WorkerStatus>,
    pub(super) stop: CancellationToken,
}

/// What a worker that the configuration asks for is there for.
#[derive(Clone)]
pub(super) enum Subject {
    /// Collecting garbage at this interval.
    Gc(Duration),
    /// Scrubbing all storages once in this interval.
    Scrub(Duration),
    /// Watching this storage.
    Storage(Arc<Cache>, Arc<CacheStorage>),
}

impl Subject {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Gc(one), Self::Gc(other)) | (Self::Scrub(one), Self::Scrub(other)) => one == other,
            (Self::Storage(_, one), Self::Storage(_, other)) => Arc::ptr_eq(one, other),
            (Self::Gc(_) | Self::Scrub(_) | Self::Storage(..), _) => false,
        }
    }
}

/// How one worker is doing.
pub struct WorkerStatus {
    /// What people call it.
    pub name: String,
    /// What it is for, in one line.
    pub purpose: &'static str,
    figures: Mutex<Figures>,
    paused: watch::Sender<bool>,
}

#[derive(Clone, Default)]
struct Figures {
    working: bool,
    last_run: Option<UnixTime>,
    next_run: Option<UnixTime>,
    last_error: Option<String>,
    errors_in_a_row: u64,
    progress: Option<String>,
    begun: Option<Instant>,
    rounds: Rounds,
}

/// The rounds of a worker since the daemon started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rounds {
    /// Those that have ended.
    pub ended: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// How long the last one took.
    pub last_duration: Duration,
}

impl Figures {
    fn end_round(&mut self, has_failed: bool) {
        self.working = false;
        self.rounds.ended += 1;
        self.rounds.failed += u64::from(has_failed);
        self.rounds.last_duration = self.begun.take().map_or(Duration::ZERO, |begun| begun.elapsed());
    }
}

/// What a worker is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// It waits until there is something to do.
    Idle,
    /// It works.
    Working,
    /// Its last rounds have failed; it tries again after a while.
    Failing,
    /// It was told to pause.
    Paused,
}

impl Workers {
    /// No workers yet. Some of those to come start `jobs`.
    pub fn new(jobs: Arc<Jobs>) -> Self {
        Self {
            jobs,
            list: Mutex::default(),
            of_config: Mutex::default(),
            running: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Adds a worker.
    pub fn add(&self, name: String, purpose: &'static str) -> Arc<WorkerStatus> {
        let status = Arc::new(WorkerStatus {
            name,
            purpose,
            figures: Mutex::default(),
            paused: watch::Sender::new(false),
        });
        self.lock().push(status.clone());
        status
    }

    /// All of them.
    pub fn list(&self) -> Vec<Arc<WorkerStatus>> {
        self.lock().clone()
    }

    /// The worker of this name.
    pub fn find(&self, name: &str) -> Option<Arc<WorkerStatus>> {
        self.lock().iter().find(|worker| worker.name == name).cloned()
    }

    /// Ends all of them, the last rounds included.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.running.close();
        self.running.wait().await;
    }

    /// Takes one off the list.
    pub(super) fn remove(&self, status: &Arc<WorkerStatus>) {
        self.lock().retain(|worker| !Arc::ptr_eq(worker, status));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<WorkerStatus>>> {
        self.list.lock()
    }
}

impl WorkerStatus {
    /// What it is at.
    pub fn state(&self) -> WorkerState {
        let figures = self.lock();
        match *self.paused.borrow() {
            _ if figures.working => WorkerState::Working,
            true => WorkerState::Paused,
            false if figures.errors_in_a_row > 0 => WorkerState::Failing,
            false => WorkerState::Idle,
        }
    }

    /// When its last round began.
    pub fn last_run(&self) -> Option<UnixTime> {
        self.lock().last_run
    }

    /// When its next round begins at the latest, where that is a matter of time.
    pub fn next_run(&self) -> Option<UnixTime> {
        self.lock().next_run
    }

    /// What went wrong last, however long ago.
    pub fn last_error(&self) -> Option<String> {
        self.lock().last_error.clone()
    }

    /// How many rounds have failed since one succeeded.
    pub fn errors_in_a_row(&self) -> u64 {
        self.lock().errors_in_a_row
    }

    /// Its rounds since the daemon started.
    pub fn rounds(&self) -> Rounds {
        self.lock().rounds
    }

    /// How far it has come with what takes many rounds, for a person.
    pub fn progress(&self) -> Option<String> {
        self.lock().progress.clone()
    }

    pub(super) fn set_progress(&self, progress: Option<String>) {
        self.lock().progress = progress;
    }

    /// Lets it begin no more rounds, or again.
    pub fn set_paused(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// Waits until it is not paused.
    pub(super) async fn wait_until_allowed(&self) {
        // The sender is ours, so it is not gone.
        let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
    }

    pub(super) fn begin(&self) {
        let mut figures = self.lock();
        figures.working = true;
        figures.begun = Some(Instant::now());
        figures.last_run = Some(UnixTime::now());
        figures.next_run = None;
    }

    /// Ends a round that succeeded; the next one begins after `pause`, where that is known.
    pub(super) fn succeed(&self, pause: Option<Duration>) {
        let mut figures = self.lock();
        figures.end_round(false);
        figures.errors_in_a_row = 0;
        figures.next_run = pause.map(from_now);
    }

    /// Ends a round that failed, and says how many have in a row.
    pub(super) fn fail(&self, error: String) -> u64 {
        let mut figures = self.lock();
        figures.end_round(true);
        figures.errors_in_a_row += 1;
        figures.last_error = Some(error);
        figures.errors_in_a_row
    }

    pub(super) fn set_next_run(&self, pause: Duration) {
        self.lock().next_run = Some(from_now(pause));
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock()
    }
}

fn from_now(pause: Duration) -> UnixTime {
    let seconds = i64::try_from(pause.as_secs()).unwrap_or(i64::MAX);
    UnixTime(UnixTime::now().0.saturating_add(seconds))
}
