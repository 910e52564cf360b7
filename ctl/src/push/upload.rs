//! The upload of one path.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix_formats::SigningKey;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};

use super::api::{Arrived, Opened, Server, describe, is_lost};
use super::error::PushError;
use super::pack::{Packed, Packing, Part, pack};
use super::store::PathInfo;

/// How often the upload of a path starts over after a failure that may pass.
const ATTEMPTS: u32 = 4;
/// How long to wait before that.
const PAUSE: Duration = Duration::from_secs(5);
/// Parts of one path that are on their way at once.
const PARTS_AT_ONCE: usize = 4;
/// Parts of all paths together that are in memory.
const PARTS_IN_MEMORY: usize = 16;

/// What all uploads of a push share.
pub struct Uploader {
    /// Where they go.
    pub server: Server,
    /// How they are compressed.
    pub packing: Packing,
    /// The key that signs them, for caches that their clients sign.
    pub key: Option<SigningKey>,
    /// Whether derivers stay private.
    pub omit_deriver: bool,
    /// Bytes of NARs that were read so far.
    pub read: AtomicU64,
    memory: Arc<Semaphore>,
}

impl Uploader {
    /// Nothing is uploaded yet.
    pub fn new(server: Server, packing: Packing, key: Option<SigningKey>, omit_deriver: bool) -> Self {
        let memory = Arc::new(Semaphore::new(PARTS_IN_MEMORY));
        Self { server, packing, key, omit_deriver, read: AtomicU64::new(0), memory }
    }

    /// Uploads a path and returns the size of its compressed file.
    ///
    /// # Errors
    ///
    /// The last failure, when the path was begun often enough.
    pub async fn upload(self: &Arc<Self>, info: &PathInfo) -> Result<u64, PushError> {
        let mut attempt = 1;
        loop {
            // Counted here and not shared, so that an attempt that failed can be taken back.
            let read = Arc::new(AtomicU64::new(0));
            let error = match self.attempt(info, &read).await {
                Ok(size) => return Ok(size),
                Err(error) => error,
            };
            if attempt == ATTEMPTS || !(error.may_pass() || is_lost(&error)) {
                return Err(error);
            }
            self.read.fetch_sub(read.load(Ordering::Relaxed), Ordering::Relaxed);
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn attempt(self: &Arc<Self>, info: &PathInfo, read: &Arc<AtomicU64>) -> Result<u64, PushError> {
        let opened = self.server.open(self.packing).await?;
        let result = self.fill(info, &opened, read).await;
        if result.is_err() {
            self.server.abort(&opened).await;
        }
        result
    }

    async fn fill(
        self: &Arc<Self>,
        info: &PathInfo,
        opened: &Opened,
        read: &Arc<AtomicU64>,
    ) -> Result<u64, PushError> {
        let (sender, parts) = mpsc::channel(1);
        let path = PathBuf::from(info.path.to_full_path());
        let (uploader, read, nar_size) = (self.clone(), read.clone(), info.nar_size);
        let packing = tokio::task::spawn_blocking(move || {
            let count = |bytes| {
                read.fetch_add(bytes, Ordering::Relaxed);
                uploader.read.fetch_add(bytes, Ordering::Relaxed);
            };
            pack(&path, nar_size, uploader.packing, sender, &count)
        });
        let arrived = self.send(opened, parts).await;
        let packed = packing.await;
        // A server that refuses a part ends the packing, so its error comes first.
        let arrived = arrived?;
        let unreadable =
            |source| PushError::Unreadable { path: PathBuf::from(info.path.to_full_path()), source };
        let packed: Packed = joined(packed).map_err(unreadable)?;
        if (packed.nar_hash, packed.nar_size) != (info.nar_hash, info.nar_size) {
            return Err(PushError::Corrupt { path: info.path.to_full_path() });
        }
        let description = describe(info, &packed, self.key.as_ref(), self.omit_deriver);
        self.server.complete(opened, &arrived, &description).await?;
        Ok(packed.file_size)
    }

    /// Sends the parts as they come, a few at a time, and returns them in order.
    async fn send(
        self: &Arc<Self>,
        opened: &Opened,
        mut parts: mpsc::Receiver<Part>,
    ) -> Result<Vec<Arrived>, PushError> {
        let (mut sending, mut arrived) = (JoinSet::new(), Vec::new());
        loop {
            let is_full = sending.len() == PARTS_AT_ONCE;
            tokio::select! {
                part = parts.recv(), if !is_full => {
                    let Some(part) = part else { break };
                    let memory = self.memory.clone().acquire_owned().await;
                    let (uploader, opened) = (self.clone(), opened.clone());
                    sending.spawn(async move {
                        let result = uploader.server.put(&opened, part).await;
                        drop(memory);
                        result
                    });
                }
                Some(done) = sending.join_next() => arrived.push(joined(done)?),
            }
        }
        while let Some(done) = sending.join_next().await {
            arrived.push(joined(done)?);
        }
        arrived.sort_unstable_by_key(|part: &Arrived| part.number);
        Ok(arrived)
    }
}

/// The result of a task. Passes a panic on.
pub fn joined<T>(done: Result<T, JoinError>) -> T {
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
