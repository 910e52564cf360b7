//! Reading the files of a storage in order, below a rate.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use admin_api::NoteLevel;
use catalog::{JobState, NarId, NarRecord, StorageJob, UnixTime};
use nar_storage::{Context, FileIdentity, Operation, Storage, StorageError, layout};
use nix_formats::NarFileName;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::chain::chain;
use crate::core::Core;
use crate::jobs::JobError;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Files that are looked up at once.
const PAGE: u64 = 256;
/// How long the wait for the rate goes on without a look at whether the job is to stop.
const LONGEST_NAP: Duration = Duration::from_millis(100);
/// How often it is saved how far the walk has come.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// The progress of a walk that has not begun.
pub(super) const BEGINNING: JobState = JobState {
    after: None,
    started_at: UnixTime(0),
    finished_at: None,
    files: 0,
    bytes: 0,
    damaged: 0,
    failed: 0,
};

/// Whoever is told of the progress of a walk, and may end it.
pub(super) trait Watcher: Sync {
    /// Cancelled when the walk is to stop.
    fn stop_token(&self) -> CancellationToken;
    /// A file of so many bytes was read.
    fn advance(&self, bytes: u64);
    /// Something was found that a person should know.
    fn note(&self, level: NoteLevel, text: String);
}

/// Keeps the reading below a rate.
pub(super) struct Pace {
    rate: u64,
    since: Instant,
    bytes: u64,
}

/// A walk over the files of one storage.
pub(super) struct Walk<'a> {
    pub(super) core: &'a Core,
    pub(super) cache: &'a Arc<Cache>,
    pub(super) storage: &'a Arc<CacheStorage>,
    /// Under which its progress is saved.
    pub(super) job: StorageJob,
    pub(super) watcher: &'a dyn Watcher,
    pub(super) pace: &'a mut Pace,
}

impl Walk<'_> {
    /// Goes on from `state` to the end, or until `until` bytes were read in total. Saves how far it has come.
    pub(super) async fn run(&mut self, state: &mut JobState, until: Option<u64>) -> Result<(), JobError> {
        let mut checked = Vec::new();
        let outcome = self.walk(state, until, &mut checked).await;
        self.note_checked(&mut checked).await?;
        self.core.catalog.save_job_state(self.storage.id, self.job, *state).await?;
        outcome
    }

    async fn walk(
        &mut self,
        state: &mut JobState,
        until: Option<u64>,
        checked: &mut Vec<NarId>,
    ) -> Result<(), JobError> {
        let mut saved = Instant::now();
        loop {
            let page = self.core.catalog.files_on(self.storage.id, state.after, PAGE).await?;
            let Some(last) = page.last().map(|nar| nar.id) else { break };
            for nar in &page {
                if self.watcher.stop_token().is_cancelled() {
                    return Err(JobError::Stopped);
                }
                if until.is_some_and(|until| state.bytes >= until) {
                    return Ok(());
                }
                if !nar.damaged && self.look_at(nar, state).await? && self.cache.has_copies() {
                    checked.push(nar.id);
                }
                state.after = Some(nar.id);
                if saved.elapsed() >= SAVE_INTERVAL {
                    self.note_checked(checked).await?;
                    self.core.catalog.save_job_state(self.storage.id, self.job, *state).await?;
                    saved = Instant::now();
                }
            }
            state.after = Some(last);
        }
        state.finished_at = Some(UnixTime::now());
        Ok(())
    }

    /// Records when further copies were found sound.
    async fn note_checked(&self, checked: &mut Vec<NarId>) -> Result<(), JobError> {
        if checked.is_empty() {
            return Ok(());
        }
        let checked = std::mem::take(checked);
        Ok(self.core.catalog.note_checked(self.storage.id, checked, UnixTime::now()).await?)
    }

    /// Reads a file. Returns whether it is sound.
    async fn look_at(&mut self, nar: &NarRecord, state: &mut JobState) -> Result<bool, JobError> {
        let name = NarFileName { file_hash: nar.file_hash, compression: nar.compression };
        let storage = self.storage.storage.clone();
        let (rate, begun) = (self.pace.rate, self.pace.bytes);
        let (since, stop) = (self.pace.since, self.watcher.stop_token());
        let (reading, size) = (name, nar.file_size);
        let file = self.storage.identify(&name).await;
        let read = tokio::task::spawn_blocking(move || {
            let mut pace = Pace { rate, since, bytes: begun };
            let found = read(storage.as_ref(), &reading, size, &mut pace, &stop);
            (found, pace.bytes)
        });
        let Ok((found, bytes)) = read.await else { return Err(JobError::Stopped) };
        self.pace.bytes = bytes;
        let is_sound = matches!(found, Found::Sound);
        let reason = match found {
            Found::Stopped => return Err(JobError::Stopped),
            Found::Sound => None,
            Found::Changed => Some("its bytes do not have its hash".to_owned()),
            Found::Failed(error) if error.is_lost() => Some(chain(&error)),
            Found::Failed(error) => {
                state.failed += 1;
                self.watcher.note(NoteLevel::Warn, format!("{name} cannot be read: {}", chain(&error)));
                None
            }
        };
        if let Some(reason) = reason {
            state.damaged += self.hide(nar, &name, file, &reason).await?;
        } else if is_sound {
            let (store, caches) = (&self.core.nar_store, self.core.caches());
            store.share(&caches, self.cache, self.storage, &name, nar.file_size).await?;
        }
        state.files += 1;
        state.bytes += nar.file_size;
        self.watcher.advance(nar.file_size);
        Ok(is_sound)
    }

    /// Hides a NAR of which this `file` was found damaged, if it is one. Returns in how many caches it was hidden.
    async fn hide(
        &self,
        nar: &NarRecord,
        name: &NarFileName,
        file: Option<FileIdentity>,
        reason: &str,
    ) -> Result<u64, JobError> {
        let (core, store) = (self.core, &self.core.nar_store);
        let storing = store.lock_file(self.cache.id, name.file_hash).await;
        if self.storage.identify(name).await != file {
            // A verified one took its place while it was read.
            return Ok(0);
        }
        self.cache.hide_nar(&core.catalog, (nar.id, self.storage.id), name, reason).await?;
        drop(storing);
        let mut places = vec![format!("{}/{}", self.cache.name(), self.storage.name())];
        if let Some(file) = file {
            // Other caches would serve the same bytes until it is their turn.
            let caches = core.caches();
            let shared = store.hide_shared(&caches, self.cache, self.storage, (name, file), reason);
            places.extend(shared.await?);
        }
        for place in &places {
            self.watcher.note(NoteLevel::Warn, format!("{place}: {name} is damaged: {reason}"));
        }
        Ok(places.len() as u64)
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
    /// At most `rate` bytes per second from now on.
    pub(super) fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), since: Instant::now(), bytes: 0 }
    }

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
