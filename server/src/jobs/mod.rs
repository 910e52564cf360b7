//! Long jobs that an operator asks for: each runs once at a time, to its end, whether anybody watches or not.
//!
//! What is asked for and what is told are the types of the admin API. The work on a single file is done in
//! [`cache`](crate::cache); here it is done for all of them, in pieces, with progress, and stopped between two pieces.

mod backup;
mod delete_cache;
mod export;
mod fsck;
mod gc;
mod history;
mod import;
mod job;
mod log;
mod meter;
mod moves;
mod scope;
mod scrub;
mod transfer;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use admin_api::{ApiError, ErrorCode, JobInfo, JobKind, JobRequest, JobState, JobSummary, StopCause};
use catalog::{CatalogError, SavedJob};
use futures_util::FutureExt;
use parking_lot::{Mutex, MutexGuard};
use tokio_util::task::TaskTracker;

pub use self::gc::kept_for;
pub use self::job::{End, Job, Watching};
pub use self::scrub::{SteadyProgress, scrub_steadily};

use self::job::Reporter;
use self::scope::Scope;
use crate::chain::chain;
use crate::core::Core;
use crate::fail_points::reached;

/// How many jobs that have ended are remembered.
const REMEMBERED: usize = 32;

/// All jobs, running and lately ended.
#[derive(Default)]
pub struct Jobs {
    list: Mutex<Vec<Arc<Job>>>,
    /// Those that ended before the daemon started.
    earlier: Mutex<Vec<JobInfo>>,
    /// Those of them that have to be resumed.
    interrupted: Mutex<Vec<SavedJob>>,
    last_id: AtomicU64,
    running: TaskTracker,
}

impl Jobs {
    /// Starts a job for an operator, or joins the one that does the same already.
    pub fn start(&self, core: &Arc<Core>, request: JobRequest) -> Result<Started, ApiError> {
        self.start_or_join(core, request, false)
    }

    /// As [`Jobs::start`], without an operator who asked for it.
    pub fn start_unattended(&self, core: &Arc<Core>, request: JobRequest) -> Result<Started, ApiError> {
        self.start_or_join(core, request, true)
    }

    fn start_or_join(
        &self,
        core: &Arc<Core>,
        request: JobRequest,
        unattended: bool,
    ) -> Result<Started, ApiError> {
        let scope = Scope::of(core, &request)?;
        if let JobRequest::Import(import) = &request {
            import::refuse_secrets(import)?;
        }
        let mut list = self.lock();
        for running in list.iter().filter(|job| job.is_running()) {
            match relation(running, &request, &scope) {
                Relation::Same => {
                    if !unattended {
                        running.attend();
                    }
                    return Ok(Started { job: running.clone(), watching: running.watch(), joined: true });
                }
                Relation::InTheWay => return Err(in_the_way(running)),
                Relation::None => {}
            }
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let job = Arc::new(Job::new(id, request, scope, unattended));
        list.push(job.clone());
        forget_old(&mut list);
        drop(list);
        log::started(&job.info());
        // Before it runs, so that nothing it tells is missed.
        let watching = job.watch();
        let (core, running) = (core.clone(), job.clone());
        self.running.spawn(async move { run(&core, &running).await });
        Ok(Started { job, watching, joined: false })
    }

    /// All jobs: those that run, then those that ended; the newest of each first.
    pub fn list(&self) -> Vec<JobInfo> {
        let current: Vec<JobInfo> = self.lock().iter().map(|job| job.info()).collect();
        let mut all: Vec<JobInfo> = self.earlier.lock().iter().cloned().chain(current).collect();
        let has_ended = |job: &JobInfo| job.state != JobState::Running;
        let mut surplus = all.iter().filter(|job| has_ended(job)).count().saturating_sub(REMEMBERED);
        all.retain(|job| {
            let forget = surplus > 0 && has_ended(job);
            surplus -= usize::from(forget);
            !forget
        });
        all.reverse();
        all.sort_by_key(has_ended);
        all
    }

    /// The job of this id, if it ended before the daemon started.
    pub fn find_earlier(&self, id: &str) -> Option<JobInfo> {
        self.earlier.lock().iter().find(|job| job.id == id).cloned()
    }

    /// Tells a job to stop, if there is one of this id.
    pub fn stop(&self, id: &str) -> Option<Arc<Job>> {
        let job = self.lock().iter().find(|job| job.info().id == id).cloned()?;
        job.stop(StopCause::Request);
        Some(job)
    }

    /// Stops all of them because the daemon ends, and waits until they have.
    pub async fn shut_down(&self) {
        for job in self.lock().iter() {
            job.stop(StopCause::Shutdown);
        }
        self.running.close();
        self.running.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Job>>> {
        self.list.lock()
    }
}

/// A job that was started or joined.
pub struct Started {
    /// The job.
    pub job: Arc<Job>,
    /// What it tells from now on.
    pub watching: Watching,
    /// Whether it ran already.
    pub joined: bool,
}

fn forget_old(list: &mut Vec<Arc<Job>>) {
    let ended = list.iter().filter(|job| !job.is_running()).count();
    let mut surplus = ended.saturating_sub(REMEMBERED);
    list.retain(|job| {
        let forget = surplus > 0 && !job.is_running();
        surplus -= usize::from(forget);
        !forget
    });
}

async fn run(core: &Arc<Core>, job: &Arc<Job>) {
    meter::note_start(job.request.kind());
    history::save(core, job).await;
    let end = match AssertUnwindSafe(work(core, job)).catch_unwind().await {
        Ok(Ok(summary)) => End::Done(summary),
        Ok(Err(JobError::Stopped)) => End::Stopped(job.stop_cause()),
        Ok(Err(JobError::Failed(error))) => End::Failed(error),
        Err(_) => End::Failed(panicked()),
    };
    job.end(end);
    history::save(core, job).await;
    let info = job.info();
    meter::note_end(core, &info);
    log::ended(&info);
}

async fn work(core: &Arc<Core>, job: &Arc<Job>) -> Result<JobSummary, JobError> {
    reached("job-has-started");
    let reporter = Reporter::new(job.clone());
    let scope = &job.scope;
    match &job.request {
        JobRequest::Drain { .. } => moves::drain(core, scope, &reporter).await,
        JobRequest::Rebalance { .. } => moves::rebalance(core, scope, &reporter).await,
        JobRequest::Scrub { rate, restart, .. } => {
            scrub::scrub(core, scope, *rate, *restart, &reporter).await
        }
        JobRequest::Fsck { rebuild, dry_run, .. } => {
            fsck::fsck(core, scope, fsck::Options { rebuild: *rebuild, dry_run: *dry_run }, &reporter).await
        }
        JobRequest::Gc { dry_run, to_size, older_than, accept_clock, no_trash, brief, for_room, .. } => {
            let options = gc::Options {
                dry_run: *dry_run,
                to_size: *to_size,
                older_than: *older_than,
                accept_clock: *accept_clock,
                no_trash: *no_trash,
                brief: *brief,
                for_room: *for_room,
            };
            gc::gc(core, scope, options, &reporter).await
        }
        JobRequest::Backup { file } => backup::backup(core, file, &reporter).await,
        JobRequest::DeleteCache { cache } => delete_cache::delete_cache(core, cache, &reporter).await,
        JobRequest::Import(request) => import::import(core, request, &reporter).await,
        JobRequest::Export(request) => export::export(core, request, &reporter).await,
    }
}

/// What a caller learns of a fault in the program itself.
fn panicked() -> ApiError {
    ApiError {
        code: ErrorCode::Internal,
        message: "the job panicked, which is a fault of cache-server".to_owned(),
        hint: Some("the daemon's log says where; the job can be started again".to_owned()),
    }
}

/// Why a job did not come to its end.
enum JobError {
    /// It was told to stop.
    Stopped,
    /// It cannot go on.
    Failed(ApiError),
}

impl From<CatalogError> for JobError {
    fn from(error: CatalogError) -> Self {
        tracing::error!(error = %chain(&error), "a job cannot use the catalog");
        let message = match &error {
            CatalogError::Unavailable { reason } => format!("the catalog cannot be used: {reason}"),
            _ => "the catalog does not answer".to_owned(),
        };
        let hint = Some("the daemon's log says more; repeat the command when this is mended".to_owned());
        Self::Failed(ApiError { code: ErrorCode::Unavailable, message, hint })
    }
}

/// What a request has to do with a job that runs.
enum Relation {
    Same,
    InTheWay,
    None,
}

fn relation(running: &Job, request: &JobRequest, scope: &Scope) -> Relation {
    if let (JobRequest::Import(one), JobRequest::Import(other)) = (&running.request, request) {
        // Two imports are as good as two clients that push.
        return if one.is_same_as(other) { Relation::Same } else { Relation::None };
    }
    let (kind, other) = (running.request.kind(), request.kind());
    if kind == other && running.scope == *scope {
        return match (&running.request, request) {
            (
                JobRequest::Fsck { rebuild, dry_run, .. },
                JobRequest::Fsck { rebuild: other_rebuild, dry_run: other_dry_run, .. },
            ) if (rebuild, dry_run) != (other_rebuild, other_dry_run) => Relation::InTheWay,
            (JobRequest::Gc { .. }, other) if running.request != *other => Relation::InTheWay,
            (JobRequest::Backup { file }, JobRequest::Backup { file: other }) if file != other => {
                Relation::InTheWay
            }
            _ => Relation::Same,
        };
    }
    if let (JobRequest::Export(one), JobRequest::Export(other)) = (&running.request, request) {
        return match (one.is_same_as(other), one.target == other.target) {
            (true, _) => Relation::Same,
            (false, true) => Relation::InTheWay,
            (false, false) => Relation::None,
        };
    }
    // Reading does not disturb anybody, and no push does. The others change what lies where.
    let changes =
        |kind: JobKind| !matches!(kind, JobKind::Scrub | JobKind::Backup | JobKind::Import | JobKind::Export);
    let overlap = running.scope.overlaps(scope);
    if overlap && (kind == other || (changes(kind) && changes(other))) {
        Relation::InTheWay
    } else {
        Relation::None
    }
}

fn in_the_way(running: &Job) -> ApiError {
    let info = running.info();
    ApiError {
        code: ErrorCode::Conflict,
        message: format!("job {} works on {} already", info.id, info.subject),
        hint: Some(format!("wait for it, or stop it with `cachectl job stop {}`", info.id)),
    }
}
