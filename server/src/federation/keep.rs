//! Keeping what was found elsewhere, for caches that are told to: while a NAR passes to its reader it is spooled as well,
//! and committed like a push. Readers of the same NAR meanwhile wait for that and then have it from us.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use catalog::CacheId;
use futures_util::stream;
use nix_formats::{NarFileName, NarInfo};
use tokio::sync::{mpsc, watch};

use super::Federation;
use super::ticket::Ticket;
use crate::cache::Cache;
use crate::cache::push::{PathDescription, PushError};

/// Pieces that wait for the disk.
const PIECES_AHEAD: usize = 8;
/// How long a reader waits for another one's download of the same NAR before it begins one of its own.
const PATIENCE: Duration = Duration::from_secs(120);

type Key = (CacheId, NarFileName);

/// The NARs that are being kept.
#[derive(Default)]
pub struct Keeping(Mutex<HashMap<Key, watch::Receiver<()>>>);

/// Where the bytes of a NAR go that is being kept; an error if they do not go on.
pub type Copy = mpsc::Sender<Result<Bytes, String>>;

impl Keeping {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to keep a NAR, unless that is under way.
    fn begin(&self, key: Key) -> Option<watch::Sender<()>> {
        let mut running = self.lock();
        if running.contains_key(&key) {
            return None;
        }
        let (done, seen) = watch::channel(());
        running.insert(key, seen);
        Some(done)
    }

    /// Waits until a NAR that is being kept is there, or is not going to be. Returns whether there was one.
    pub(super) async fn wait_for(&self, cache: &Cache, file: &NarFileName) -> bool {
        let Some(mut running) = self.lock().get(&(cache.id, *file)).cloned() else { return false };
        // The sender is dropped at the end, whatever it is.
        let _ = tokio::time::timeout(PATIENCE, async { while running.changed().await.is_ok() {} }).await;
        true
    }
}

impl Federation {
    /// Begins to keep the NAR of the ticket. `None` if the cache keeps nothing, or has it in the works.
    pub(super) async fn keep(self: &Arc<Self>, cache: &Arc<Cache>, ticket: &Ticket) -> Option<Copy> {
        if !cache.config().keep {
            return None;
        }
        // The ticket does not say everything that a path consists of.
        let found = self.find(cache, &ticket.path).await?;
        if found.file != ticket.file {
            return None;
        }
        let key = (cache.id, ticket.file);
        let done = self.keeping.begin(key)?;
        let (copy, pieces) = mpsc::channel(PIECES_AHEAD);
        let (federation, cache) = (self.clone(), cache.clone());
        let (narinfo, size) = (found.narinfo.clone(), ticket.file_size);
        tokio::spawn(async move {
            let name = narinfo.store_path.base_name();
            match federation.store(&cache, key.1, size, narinfo, pieces).await {
                Ok(()) => tracing::debug!(cache = cache.name(), path = name, "kept a path from elsewhere"),
                Err(error) => {
                    tracing::info!(cache = cache.name(), path = name, %error, "could not keep a path from elsewhere");
                }
            }
            federation.keeping.lock().remove(&key);
            drop(done);
        });
        Some(copy)
    }

    async fn store(
        &self,
        cache: &Arc<Cache>,
        file: NarFileName,
        size: u64,
        narinfo: NarInfo,
        pieces: mpsc::Receiver<Result<Bytes, String>>,
    ) -> Result<(), PushError> {
        let body = stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
        self.pusher.put_file(cache, file.compression, Some(&file), Some(size), Box::pin(body)).await?;
        let description = PathDescription::from_narinfo(narinfo, file.file_hash)?;
        self.pusher.commit_file(cache, description).await
    }
}
