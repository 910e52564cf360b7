//! Keeping what was found elsewhere, for caches that are told to: while a NAR passes to its reader it is spooled as well,
//! and committed like a push. Readers of the same NAR meanwhile wait for that and then have it from us. Once a cache is larger
//! than it may be, its least recently used paths are collected.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::CacheId;
use futures_util::{StreamExt, stream};
use nix_formats::{NarFileName, NarInfo, Signature, StorePathHash};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, watch};

use super::Federation;
use super::fetch::Fetched;
use super::ticket::Ticket;
use crate::cache::Cache;
use crate::cache::PushError;
use crate::cache::keys::Offered;
use crate::chain::chain;
use crate::ingest::PathDescription;

/// Pieces that wait for the disk.
const PIECES_AHEAD: usize = 8;
/// How long a reader waits for another one's download of the same NAR before it begins one of its own.
const PATIENCE: Duration = Duration::from_secs(120);

type Key = (CacheId, NarFileName);

/// The NARs that are being kept.
#[derive(Clone, Default)]
pub struct Keeping(Arc<Mutex<HashMap<Key, watch::Receiver<()>>>>);

/// The right to keep a NAR, which one has at a time.
pub struct Reservation {
    keeping: Keeping,
    key: Key,
    /// Dropped last, when the NAR is there or is not going to be.
    _done: watch::Sender<()>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.keeping.lock().remove(&self.key);
    }
}

/// What is known of a file before it has arrived.
struct KeptFile {
    name: NarFileName,
    /// Whether its name has its hash.
    is_hash_known: bool,
    size: Option<u64>,
}

/// Where the bytes of a NAR go that is being kept; an error if they do not go on.
pub type Copy = mpsc::Sender<Result<Bytes, String>>;

impl Keeping {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<()>>> {
        self.0.lock()
    }

    /// Reserves a NAR. If somebody else has done so, waits until it is there, or is not going to be; `None` then.
    pub(super) async fn reserve(&self, cache: &Cache, file: &NarFileName) -> Option<Reservation> {
        let key = (cache.id, *file);
        let mut running = {
            let mut reserved = self.lock();
            match reserved.get(&key) {
                Some(running) => running.clone(),
                None => {
                    let (done, seen) = watch::channel(());
                    reserved.insert(key, seen);
                    return Some(Reservation { keeping: self.clone(), key, _done: done });
                }
            }
        };
        // The sender is dropped at the end, whatever it is.
        let _ = tokio::time::timeout(PATIENCE, async { while running.changed().await.is_ok() {} }).await;
        None
    }
}

impl Federation {
    /// Begins to keep the NAR of the ticket, a file of `size` bytes if that is known. `None` if it is not known any more
    /// what path it belongs to.
    pub(super) async fn keep(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        ticket: &Ticket,
        size: Option<u64>,
        reservation: Reservation,
    ) -> Option<Copy> {
        // The ticket does not say everything that a path consists of.
        let found = self.find(cache, &ticket.path).await.found()?;
        if found.file != ticket.file {
            return None;
        }
        let (copy, pieces) = mpsc::channel(PIECES_AHEAD);
        let (federation, cache) = (self.clone(), cache.clone());
        let file = KeptFile { name: ticket.file, is_hash_known: ticket.is_file_known, size };
        let (narinfo, valid) = (found.narinfo.clone(), found.valid.clone());
        tokio::spawn(async move {
            let name = narinfo.store_path.base_name();
            match federation.store(&cache, file, narinfo, valid, pieces).await {
                Ok(()) => {
                    tracing::debug!(cache = cache.name(), path = name, "kept a path from elsewhere");
                    if size_to_collect(&cache).is_some() {
                        federation.overgrown.notify_one();
                    }
                }
                Err(error) => {
                    tracing::info!(cache = cache.name(), path = name, error = %chain(&error), "could not keep a path from elsewhere");
                }
            }
            drop(reservation);
        });
        Some(copy)
    }

    /// Fetches a path that the cache lacks, and keeps it. Returns whether the cache has it now.
    pub(super) async fn keep_path(self: &Arc<Self>, cache: &Arc<Cache>, path: &StorePathHash) -> bool {
        let Some(found) = self.find_patiently(cache, path).await.found() else { return false };
        match self.fetch_and(true, cache, &found.ticket).await {
            Ok(Fetched::Here(_)) => {}
            Ok(Fetched::Stream { mut pieces, .. }) => {
                while let Some(piece) = pieces.next().await {
                    if piece.is_err() {
                        return false;
                    }
                }
                // Until it is committed.
                drop(self.keeping.reserve(cache, &found.file).await);
            }
            Err(_) => return false,
        }
        cache.can_serve(&self.catalog, path).await.unwrap_or(false)
    }

    /// Waits until a cache that keeps what it finds is too large.
    pub async fn overgrown(&self) {
        self.overgrown.notified().await;
    }

    async fn store(
        &self,
        cache: &Arc<Cache>,
        file: KeptFile,
        narinfo: NarInfo,
        valid: Vec<Signature>,
        pieces: mpsc::Receiver<Result<Bytes, String>>,
    ) -> Result<(), PushError> {
        let body = stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
        let name = file.is_hash_known.then_some(&file.name);
        let hash = self
            .uploads
            .put_file(cache, None, file.name.compression, name, file.size, Box::pin(body))
            .await?;
        let mut description = PathDescription::from_narinfo(narinfo, hash)?;
        description.offered = Offered::Checked(valid);
        self.ingest.commit_file(cache, description).await
    }
}

/// The size in bytes to which a cache that keeps too much is to be collected: less than it may have, so that it takes a
/// while until the next time.
pub fn size_to_collect(cache: &Cache) -> Option<u64> {
    let config = cache.config();
    let most = config.federation.keep_max_size.filter(|_| config.federation.keep)?;
    let used: u64 = cache.storages().snapshot().iter().map(|storage| storage.used).sum();
    (used > most).then_some(most - most / 10)
}
