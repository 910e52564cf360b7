//! Reading every file again and comparing it with its hash.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin_api::{JobSummary, NoteLevel, ScrubSummary, Unit};
use catalog::{JobState, NarRecord, StorageJob, UnixTime};
use nar_storage::{Context, Operation, Storage, StorageError, layout};
use nix_formats::NarFileName;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::JobError;
use super::job::Reporter;
use super::scope::Scope;
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::chain::chain;
use crate::core::Core;

/// Bytes per second that are read unless someone asks for more: enough for 4 TiB a day, and little for a disk.
const DEFAULT_RATE: u64 = 50_000_000;
/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Files that are looked up at once.
const PAGE: u64 = 256;
/// How long the wait for the rate goes on without a look at whether the job is to stop.
const LONGEST_NAP: Duration = Duration::from_millis(100);
/// How often it is saved how far the scrub has come.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

pub(super) async fn scrub(
    core: &Core,
    scope: &Scope,
    rate: Option<u64>,
    restart: bool,
    reporter: &Reporter,
) -> Result<JobSummary, JobError> {
    let mut total = 0;
    let mut begun = Vec::new();
    let storages = scope.storages(core);
    for (cache, storage) in &storages {
        total += core.catalog.storage_stats(storage.id).await?.file_bytes;
        let saved = core.catalog.job_state(storage.id, StorageJob::Scrub).await?;
        // One that has come to its end is no reason to begin in the middle.
        let state = saved.filter(|state| !restart && state.finished_at.is_none()).unwrap_or(BEGINNING);
        begun.push((cache, storage, state));
    }
    let done = begun.iter().map(|(_, _, state)| state.bytes).sum();
    reporter.begin(None, Unit::Bytes, done, Some(total.max(done)));
    let mut summary = ScrubSummary::default();
    let mut pace = Pace { rate: rate.unwrap_or(DEFAULT_RATE).max(1), since: Instant::now(), bytes: 0 };
    for (cache, storage, mut state) in begun {
        if state.started_at == UnixTime(0) {
            state.started_at = UnixTime::now();
        } else {
            let text = format!("{}/{}: going on after {} files", cache.name(), storage.name(), state.files);
            reporter.note(NoteLevel::Info, text);
        }
        let mut scrub = StorageScrub { core, cache, storage, reporter, pace: &mut pace };
        let outcome = scrub.run(&mut state).await;
        core.catalog.save_job_state(storage.id, StorageJob::Scrub, state).await?;
        outcome?;
        summary.files += state.files;
        summary.bytes += state.bytes;
        summary.damaged += state.damaged;
        summary.unreadable += state.failed;
    }
    Ok(JobSummary::Scrub(summary))
}

const BEGINNING: JobState = JobState {
    after: None,
    started_at: UnixTime(0),
    finished_at: None,
    files: 0,
    bytes: 0,
    damaged: 0,
    failed: 0,
};

/// Keeps the reading below a rate.
struct Pace {
    rate: u64,
    since: Instant,
    bytes: u64,
}

struct StorageScrub<'a> {
    core: &'a Core,
    cache: &'a Arc<Cache>,
    storage: &'a Arc<CacheStorage>,
    reporter: &'a Reporter,
    pace: &'a mut Pace,
}

impl StorageScrub<'_> {
    async fn run(&mut self, state: &mut JobState) -> Result<(), JobError> {
        let mut saved = Instant::now();
        loop {
            let page = self.core.catalog.nars_on(self.storage.id, state.after, PAGE).await?;
            let Some(last) = page.last().map(|nar| nar.id) else { break };
            for nar in &page {
                self.reporter.check()?;
                if !nar.damaged {
                    self.look_at(nar, state).await?;
                }
                state.after = Some(nar.id);
                if saved.elapsed() >= SAVE_INTERVAL {
                    self.core.catalog.save_job_state(self.storage.id, StorageJob::Scrub, *state).await?;
                    saved = Instant::now();
                }
            }
            state.after = Some(last);
        }
        state.finished_at = Some(UnixTime::now());
        Ok(())
    }

    async fn look_at(&mut self, nar: &NarRecord, state: &mut JobState) -> Result<(), JobError> {
        let name = NarFileName { file_hash: nar.file_hash, compression: nar.compression };
        let storage = self.storage.storage.clone();
        let (rate, begun) = (self.pace.rate, self.pace.bytes);
        let (since, stop) = (self.pace.since, self.reporter.stop_token());
        let (reading, size) = (name, nar.file_size);
        let read = tokio::task::spawn_blocking(move || {
            let mut pace = Pace { rate, since, bytes: begun };
            let found = read(storage.as_ref(), &reading, size, &mut pace, &stop);
            (found, pace.bytes)
        });
        let Ok((found, bytes)) = read.await else { return Err(JobError::Stopped) };
        self.pace.bytes = bytes;
        let reason = match found {
            Found::Stopped => return Err(JobError::Stopped),
            Found::Sound => None,
            Found::Changed => Some("its bytes do not have its hash".to_owned()),
            Found::Failed(error) if error.is_lost() => Some(chain(&error)),
            Found::Failed(error) => {
                state.failed += 1;
                self.reporter.note(NoteLevel::Warn, format!("{name} cannot be read: {}", chain(&error)));
                None
            }
        };
        if let Some(reason) = reason {
            state.damaged += 1;
            self.hide(nar, &name, &reason).await?;
        }
        state.files += 1;
        state.bytes += nar.file_size;
        self.reporter.advance(nar.file_size);
        Ok(())
    }

    async fn hide(&self, nar: &NarRecord, name: &NarFileName, reason: &str) -> Result<(), JobError> {
        self.cache.hide_nar(&self.core.catalog, nar.id, name, reason).await?;
        let place = format!("{}/{}", self.cache.name(), self.storage.name());
        self.reporter.note(NoteLevel::Warn, format!("{place}: {name} is damaged: {reason}"));
        Ok(())
    }
}

/// What a file turned out to be.
enum Found {
    Sound,
    Changed,
    Failed(StorageError),
    Stopped,
}

fn read(
    storage: &dyn Storage,
    name: &NarFileName,
    size: u64,
    pace: &mut Pace,
    stop: &CancellationToken,
) -> Found {
    let key = layout::nar_key(name);
    let mut reader = match storage.open_blocking(&key) {
        Ok(reader) => reader,
        Err(error) => return Found::Failed(error),
    };
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; PIECE];
    let mut length = 0;
    loop {
        if stop.is_cancelled() {
            return Found::Stopped;
        }
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let context =
                    Context { storage: storage.name().into(), operation: Operation::Open, key: Some(key) };
                return Found::Failed(StorageError::from_io(context, error));
            }
        };
        hasher.update(&buffer[..read]);
        length += read as u64;
        pace.keep(read as u64, stop);
    }
    let same = length == size && <[u8; 32]>::from(hasher.finalize()) == *name.file_hash.as_bytes();
    if same { Found::Sound } else { Found::Changed }
}

impl Pace {
    /// Takes note of bytes that were read, and waits until the rate allows more, or the job is to stop. Blocks.
    fn keep(&mut self, bytes: u64, stop: &CancellationToken) {
        self.bytes += bytes;
        let due = Duration::from_secs_f64(self.bytes as f64 / self.rate as f64);
        while let Some(early) = due.checked_sub(self.since.elapsed())
            && early > Duration::from_millis(5)
            && !stop.is_cancelled()
        {
            // At a low rate one piece takes minutes, and a daemon that ends waits for this.
            std::thread::sleep(early.min(LONGEST_NAP));
        }
    }
}
