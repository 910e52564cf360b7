//! Garbage collection: removing the paths that nothing keeps alive.
//!
//! | file | what |
//! |---|---|
//! | `plan.rs` | which paths of a cache may go, and why |
//! | `tombstone.rs` | taking them out of the cache |
//! | `sweep.rs` | removing their files from the storages |
//!
//! Pushes and reads go on meanwhile. A path that a client was told is there a moment ago is kept, whatever its age: it is
//! hidden in memory before it leaves the catalog, and only if no use of it was noted; it leaves the catalog only if nobody has
//! pushed it, pinned it, or pushed something that refers to it. A crash leaves tombstones, with which the next run begins.

mod plan;
mod sweep;
mod tombstone;

use std::sync::Arc;

use admin_api::{ApiError, ErrorCode, GcCache, GcSummary, JobSummary, NoteLevel, Unit};
use catalog::UnixTime;

pub use self::plan::kept_for;

use self::plan::Plan;
use super::JobError;
use super::job::Reporter;
use super::scope::Scope;
use crate::cache::Cache;
use crate::core::Core;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// Remove nothing, only tell.
    pub(super) dry_run: bool,
    /// Go on until a cache has no more than so many bytes.
    pub(super) to_size: Option<u64>,
    /// Seconds that stand in for the retention of the caches.
    pub(super) older_than: Option<u64>,
    /// Believe the system clock as it is now.
    pub(super) accept_clock: bool,
    /// Keep nothing in the trash of what is removed.
    pub(super) no_trash: bool,
}

/// One cache under collection.
struct Collection<'a> {
    core: &'a Core,
    cache: &'a Arc<Cache>,
    reporter: &'a Reporter,
    counts: GcCache,
    /// Whether what is removed stays in the trash for a while.
    trash: bool,
}

pub(super) async fn gc(
    core: &Core,
    scope: &Scope,
    options: Options,
    reporter: &Reporter,
) -> Result<JobSummary, JobError> {
    if options.accept_clock && !options.dry_run {
        core.clock.accept().await?;
    }
    let mut caches = Vec::new();
    for cache in &scope.caches(core) {
        let counts = GcCache { cache: cache.name().to_owned(), ..GcCache::default() };
        let trash = core.config().server.trash.is_some() && !options.no_trash;
        let mut collection = Collection { core, cache, reporter, counts, trash };
        collection.run(options).await?;
        caches.push(collection.counts);
    }
    Ok(JobSummary::Gc(GcSummary { dry_run: options.dry_run, caches }))
}

impl Collection<'_> {
    async fn run(&mut self, options: Options) -> Result<(), JobError> {
        let name = self.cache.name();
        self.check_clock(options)?;
        if !options.dry_run {
            self.reporter.begin(format!("finishing what was begun in {name}"), Unit::Files, 0, None);
            self.sweep().await?;
        }
        self.reporter.begin(format!("finding out what is alive in {name}"), Unit::Paths, 0, None);
        let now = UnixTime::now();
        if !options.dry_run {
            self.check_clock(options)?;
        }
        let plan = Plan::make(self.core, self.cache, options, now).await?;
        self.counts.paths_before = plan.census.len() as u64;
        self.counts.pinned = plan.census.pinned() as u64;
        if options.dry_run {
            self.tell(&plan).await?;
        } else {
            self.tombstone_paths(&plan).await?;
            self.sweep().await?;
            self.counts.postponed = self.count_postponed().await?;
        }
        self.counts.kept = self.counts.paths_before.saturating_sub(self.counts.paths_removed);
        Ok(())
    }

    /// Fails while the clock is in doubt, as the age of paths means nothing then.
    fn check_clock(&self, options: Options) -> Result<(), JobError> {
        match self.core.clock.doubt() {
            Some(doubt) if !options.dry_run => Err(JobError::Failed(ApiError {
                code: ErrorCode::Conflict,
                message: format!("nothing was collected: {}", doubt.text()),
                hint: Some(
                    "set the clock right; if `date` shows the right time, repeat the command with --accept-clock"
                        .to_owned(),
                ),
            })),
            Some(doubt) => {
                self.reporter.note(NoteLevel::Warn, doubt.text());
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Tells of what would go.
    async fn tell(&mut self, plan: &Plan) -> Result<(), JobError> {
        let (files, bytes) = plan.census.freed(plan.count);
        if self.trash {
            self.counts.bytes_trashed = bytes;
        } else {
            (self.counts.files_removed, self.counts.bytes_freed) = (files, bytes);
        }
        self.counts.paths_removed = plan.count as u64;
        for text in plan.reasons(&self.core.catalog, self.cache).await? {
            self.reporter.check()?;
            self.reporter.note(NoteLevel::Info, text);
            // Watchers take part in the telling, and only so many notes wait for them.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
