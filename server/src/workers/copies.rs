//! Keeps as many copies of each NAR as the configuration says.
//!
//! Files that were just pushed come first, then the backlog of the catalog, the most exposed files before others. What the catalog has is compared
//! with the configuration after the start, when the storages that count have changed, and now and then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{CacheId, CopyId, NarId, StorageId, Survey};
use tokio_util::sync::CancellationToken;

use super::{Failure, Worker};
use crate::cache::Cache;
use crate::cache::storages::{CacheStorage, Storages};
use crate::chain::chain;
use crate::core::Core;

/// The longest pause between two looks at the backlog.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause after a round in which nothing could be done.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How often everything is compared with the configuration, if nothing has changed.
const SURVEY: Duration = Duration::from_secs(3600);
/// While a storage is emptied, a comparison begins so many times as long after the last one began as that took. A short one counts
/// as this long.
const SPACING: u32 = 4;
const SHORTEST_SURVEY: Duration = Duration::from_millis(250);
/// How often claims are looked through.
const EXPIRY: Duration = Duration::from_secs(60);
/// How often the copies are counted.
const COUNT: Duration = Duration::from_secs(15);
/// Files that are compared at once.
const PAGE: u64 = 500;
/// The time for comparing files before the backlog gets its turn.
const TURN: Duration = Duration::from_millis(500);

/// Makes copies, and removes those that are too many.
pub(super) struct Copies {
    caches: HashMap<CacheId, Progress>,
    looked_for_claims: Option<Instant>,
    text: Option<String>,
}

/// How far the work on one cache has come.
#[derive(Default)]
struct Progress {
    /// What it was compared with last.
    survey: Option<Survey>,
    /// How far the comparison that is under way has come. `None` within if it has just begun.
    surveying: Option<Option<NarId>>,
    /// When the last comparison began.
    surveyed: Option<Instant>,
    /// How long the last one took.
    took: Duration,
    /// Where in the backlog the next round goes on.
    after: Option<(i64, CopyId)>,
    /// Until then nothing is tried but what was just pushed.
    rests_until: Option<Instant>,
    rest: Duration,
    /// Whether copies were made since the last comparison began.
    made: bool,
    /// Copies that were missing when they were counted last.
    missing: u64,
    counted: Option<Instant>,
}

impl Copies {
    pub(super) fn new() -> Self {
        Self { caches: HashMap::new(), looked_for_claims: None, text: None }
    }
}

impl Worker for Copies {
    fn name(&self) -> String {
        "copies".to_owned()
    }

    fn purpose(&self) -> &'static str {
        "keeps the configured number of copies"
    }

    async fn wait(&mut self, core: &Arc<Core>) {
        let _ = tokio::time::timeout(PAUSE, core.nar_store.wait_for_copies()).await;
    }

    async fn work(&mut self, core: &Arc<Core>, stop: &CancellationToken) -> Result<(), Failure> {
        let caches = core.caches();
        let copied: Vec<&Arc<Cache>> = caches.iter().filter(|cache| cache.has_copies()).collect();
        self.caches.retain(|id, _| copied.iter().any(|cache| cache.id == *id));
        if copied.is_empty() || !core.catalog.is_writable() {
            self.text = None;
            return Ok(());
        }
        if self.looked_for_claims.is_none_or(|last| last.elapsed() >= EXPIRY) {
            self.looked_for_claims = Some(Instant::now());
            if core.nar_store.expire_copy_claims().await? > 0 {
                core.remove_leftovers().await;
            }
        }
        let mut missing = 0;
        for cache in copied {
            let progress = self.caches.entry(cache.id).or_default();
            progress.work(core, cache, stop).await?;
            missing += progress.missing;
        }
        self.text = Some(match missing {
            0 => "no copies are missing".to_owned(),
            copies => format!("{copies} copies are missing"),
        });
        Ok(())
    }

    fn begins_at_once(&self) -> bool {
        true
    }

    fn progress(&self) -> Option<String> {
        self.text.clone()
    }
}

impl Progress {
    async fn work(
        &mut self,
        core: &Arc<Core>,
        cache: &Arc<Cache>,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        if self.counted.is_none_or(|last| last.elapsed() >= COUNT) {
            self.missing = core.catalog.copy_counts(cache.id).await?.missing;
            self.counted = Some(Instant::now());
        }
        let fresh = core.nar_store.copy_fresh(cache, stop).await?;
        self.survey(core, cache, stop).await?;
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let round = core.nar_store.work_off_copies(cache, self.after, stop).await?;
        self.after = round.after;
        match core.nar_store.remove_leaving_copies(cache, stop).await {
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(cache = cache.name(), error = %chain(&error), "copies that are too many are left for now");
            }
        }
        let made = round.made + fresh.made;
        self.made |= made > 0;
        if made > 0 {
            tracing::debug!(
                cache = cache.name(),
                copies = made,
                bytes = round.bytes + fresh.bytes,
                "copied NARs"
            );
        }
        if round.failed > 0 && round.made == 0 {
            self.rest = (self.rest * 2).clamp(PAUSE, LONGEST_PAUSE);
            self.rests_until = Some(Instant::now() + self.rest);
        } else {
            (self.rest, self.rests_until) = (Duration::ZERO, None);
        }
        Ok(())
    }

    /// Goes on comparing what the catalog has with what there should be.
    async fn survey(
        &mut self,
        core: &Arc<Core>,
        cache: &Arc<Cache>,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let survey = survey_of(cache);
        let has_changed = self.survey.as_ref() != Some(&survey);
        // What is emptied can go once other copies were made.
        let pause =
            if self.made && is_emptying(cache) { self.took.max(SHORTEST_SURVEY) * SPACING } else { SURVEY };
        let is_due = self.surveying.is_none() && self.surveyed.is_none_or(|last| last.elapsed() >= pause);
        if has_changed || is_due {
            self.made = false;
            self.survey = Some(survey.clone());
            self.surveyed = Some(Instant::now());
            self.surveying = Some(None);
        }
        let Some(mut after) = self.surveying else { return Ok(()) };
        let begun = Instant::now();
        while !stop.is_cancelled() && begun.elapsed() < TURN {
            let surveyed = core.nar_store.survey_copies(cache, &survey, after, PAGE).await?;
            if surveyed.wanted > 0 || surveyed.surplus > 0 || surveyed.moved > 0 {
                let (wanted, surplus, moved) = (surveyed.wanted, surveyed.surplus, surveyed.moved);
                tracing::info!(
                    cache = cache.name(),
                    wanted,
                    surplus,
                    moved,
                    "compared the copies of NARs with what there should be"
                );
                // There is something new to do.
                self.rests_until = None;
                self.made |= moved > 0;
            }
            after = surveyed.last;
            if after.is_none() {
                self.surveying = None;
                self.took = self.surveyed.map_or(Duration::ZERO, |begun| begun.elapsed());
                return Ok(());
            }
        }
        self.surveying = Some(after);
        Ok(())
    }
}

/// Whether a storage that is draining still holds files.
fn is_emptying(cache: &Cache) -> bool {
    cache.storages().snapshot().iter().any(|storage| storage.draining && storage.used > 0)
}

/// The storages that are not on the slowest tier.
fn fast_storages(storages: &Storages) -> Vec<StorageId> {
    let slowest = storages.slowest_tier();
    let is_fast = |storage: &&Arc<CacheStorage>| storage.config().tier < slowest;
    storages.iter().filter(is_fast).map(|storage| storage.id).collect()
}

/// What the copies of a cache are compared with at the moment.
fn survey_of(cache: &Cache) -> Survey {
    let (config, storages) = (cache.config(), cache.storages());
    let is_counted = |storage: &&Arc<CacheStorage>| {
        !storage.config().draining && storage.away_for() < config.re_copy_after
    };
    Survey {
        cache: cache.id,
        copies: u64::from(config.copies.max(1)),
        counted: storages.iter().filter(is_counted).map(|storage| storage.id).collect(),
        written: storages.iter().filter(|storage| !storage.config().draining).count() as u64,
        durable: cache.durable_storages(),
        fast: fast_storages(&storages),
        readable: storages
            .iter()
            .filter(|storage| !storage.liveness.is_lost())
            .map(|storage| storage.id)
            .collect(),
    }
}
