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
use crate::cache::{Cache, HeldCollection};
use crate::core::Core;

/// Paths whose reasons are read at once.
const PAGE: usize = 1000;

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
    /// Of a dry run, tell only the counts.
    pub(super) brief: bool,
    /// Collect also what was used within the grace, as room is needed at once.
    pub(super) for_room: bool,
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
        // Uses are noted there, and paths are hidden there before they go.
        self.cache.index.completed().await;
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
            self.tell(&plan, options.brief).await?;
        } else if self.is_too_much(&plan) {
            self.hold_back(&plan);
        } else {
            *self.cache.held_collection.write() = None;
            self.tombstone_paths(&plan).await?;
            self.sweep().await?;
            self.counts.postponed = self.count_postponed().await?;
            self.log(options);
        }
        let gone = self.counts.paths_removed + self.counts.paths_to_remove;
        self.counts.kept = self.counts.paths_before.saturating_sub(gone);
        Ok(())
    }

    /// Whether the plan is more than a collection may do that nobody asked for.
    fn is_too_much(&self, plan: &Plan) -> bool {
        let share = u128::from(self.core.config().server.gc_max_share);
        let is_unasked = self.reporter.is_unattended() && !plan.for_room;
        is_unasked && plan.count as u128 * 100 > plan.census.len() as u128 * share
    }

    /// Leaves everything as it is until an operator asks for the collection.
    fn hold_back(&mut self, plan: &Plan) {
        let held = HeldCollection { paths: plan.count as u64, of: plan.census.len() as u64 };
        self.counts.held_back = held.paths;
        *self.cache.held_collection.write() = Some(held);
        let share = self.core.config().server.gc_max_share;
        let name = self.cache.name();
        self.reporter.note(
            NoteLevel::Warn,
            format!(
                "{name}: nothing was collected: it would have been {} of {} paths, more than the {share} % of \
                 `server.gc-max-share`; if that is right, run `cachectl gc --cache {name}`",
                held.paths, held.of
            ),
        );
    }

    /// Leaves a line in the log that says what was removed and why.
    fn log(&self, options: Options) {
        let reason = match (self.reporter.is_unattended(), options.to_size) {
            (true, Some(_)) if options.for_room => "the cache is full",
            (true, Some(_)) => "the cache is larger than keep-max-size",
            (true, None) => "gc-interval",
            (false, _) => "an operator asked for it",
        };
        let counts = &self.counts;
        tracing::info!(
            cache = counts.cache,
            reason,
            paths = counts.paths_removed,
            files = counts.files_removed,
            bytes_freed = counts.bytes_freed,
            bytes_trashed = counts.bytes_trashed,
            paths_before = counts.paths_before,
            postponed = counts.postponed,
            "collected garbage"
        );
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
    async fn tell(&mut self, plan: &Plan, brief: bool) -> Result<(), JobError> {
        (self.counts.files_to_remove, self.counts.bytes_to_remove) = plan.census.freed(plan.count);
        self.counts.paths_to_remove = plan.count as u64;
        if brief {
            return Ok(());
        }
        let mut number = 0;
        for page in plan.census.batches(plan.count, PAGE) {
            self.reporter.check()?;
            for text in plan.reasons(&self.core.catalog, self.cache, &page, number).await? {
                self.reporter.tell(text).await;
            }
            number += page.len();
        }
        Ok(())
    }
}
