//! Reading files that lie on several storages: from any of them that can give them, and on from another where one breaks off.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalog::{Catalog, CatalogError, CopyState, NarId, NarRecord, StorageId};
use futures_util::Stream;
use nar_storage::{Blob, BlobBody, BlobStream, Context as Attempt, Operation, StorageError};
use nix_formats::NarFileName;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, timeout};

use super::Cache;
use super::lookup::OPEN;
use super::nars::{KnownNar, Places};
use super::storages::{CacheStorage, FaultScope};
use super::tiers;
use crate::chain::chain;
use crate::config::{CacheConfig, StorageType};

/// How long a storage may take for the next piece of a file that another one has as well.
const STALL: Duration = Duration::from_secs(4);

/// For how long what was copied counts for the rate.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// Whether files of a cache with this configuration may have further copies.
pub fn are_wanted(config: &CacheConfig) -> bool {
    let is_durable = config.storages.len() > 1 && config.storages.iter().any(|storage| storage.durable);
    config.copies > 1 || is_durable || tiers::are_used(config)
}

/// How fast copies are made.
#[derive(Default)]
pub struct CopyRate(Mutex<VecDeque<(Instant, u64)>>);

impl CopyRate {
    /// Takes note of bytes that were copied.
    pub fn add(&self, bytes: u64) {
        let mut last = self.0.lock();
        while last.front().is_some_and(|(at, _)| at.elapsed() > RATE_WINDOW) {
            last.pop_front();
        }
        last.push_back((Instant::now(), bytes));
    }

    /// How long copying these bytes takes at the rate of the last minute. `None` if nothing was copied in it.
    pub fn time_for(&self, bytes: u64) -> Option<Duration> {
        let last = self.0.lock();
        let recent = || last.iter().filter(|(at, _)| at.elapsed() <= RATE_WINDOW);
        let (first, copied) = (recent().next()?.0, recent().map(|(_, bytes)| bytes).sum::<u64>());
        let took = first.elapsed().max(Duration::from_secs(1));
        (copied > 0).then(|| took.mul_f64(bytes as f64 / copied as f64))
    }
}

/// A file that is read from whichever storage gives it.
struct Reading {
    cache: Arc<Cache>,
    catalog: Catalog,
    name: NarFileName,
    nar: NarId,
    size: u64,
    /// Storages that have failed to give it.
    failed: Vec<StorageId>,
}

impl Cache {
    /// Whether files of it have, or are to have, further copies. Where not, nobody looks for any.
    pub fn has_copies(&self) -> bool {
        self.copied.load(Ordering::Relaxed)
    }

    /// From now on files of it may have further copies.
    pub fn expect_copies(&self) {
        self.copied.store(true, Ordering::Relaxed);
    }

    /// How many further copies a new file is to have at most.
    pub fn further_copies(&self) -> u64 {
        self.further_copies_with(!self.durable_storages().is_empty())
    }

    /// As many as there are to be besides the first one, and at least one where that is not durable.
    fn further_copies_with(&self, lacks_durable: bool) -> u64 {
        u64::from(self.config().copies.saturating_sub(1)).max(u64::from(lacks_durable))
    }

    /// The storages of which one is to have each file: those with `durable` on the slowest tier that take new files. One that is away
    /// for long does not count.
    pub fn durable_storages(&self) -> Vec<StorageId> {
        let (storages, patience) = (self.storages(), self.config().re_copy_after);
        let slowest = storages.slowest_tier();
        let is_durable = |storage: &&Arc<CacheStorage>| {
            let config = storage.config();
            config.durable && !config.draining && config.tier == slowest && storage.away_for() < patience
        };
        storages.iter().filter(is_durable).map(|storage| storage.id).collect()
    }

    /// How many further copies a file is to have that was just stored on `home`.
    pub fn further_copies_beside(&self, home: StorageId) -> u64 {
        let durable = self.durable_storages();
        let lacks_durable = !durable.is_empty() && !durable.contains(&home);
        self.further_copies_with(lacks_durable)
    }

    /// The name of a storage, for people.
    pub(super) fn storage_name(&self, id: StorageId) -> String {
        self.storage(id).map_or_else(|| "unknown".to_owned(), |storage| storage.name().to_owned())
    }

    /// The storages with a sound copy of a file, its home first.
    pub async fn places_of(
        &self,
        catalog: &Catalog,
        nar: &NarRecord,
    ) -> Result<Vec<StorageId>, CatalogError> {
        let mut places = vec![nar.storage];
        if self.has_copies() {
            places.extend(catalog.copy_storages(nar.id).await?);
        }
        Ok(places)
    }

    /// Whether a file can be had from a storage, as far as is known.
    pub async fn gives(&self, catalog: &Catalog, nar: &NarRecord) -> Result<bool, CatalogError> {
        if nar.damaged {
            return Ok(false);
        }
        if self.gives_from(nar.storage) || !self.has_copies() {
            return Ok(self.gives_from(nar.storage));
        }
        let copies = catalog.copy_storages(nar.id).await?;
        Ok(copies.into_iter().any(|storage| self.gives_from(storage)))
    }

    /// A storage that has a file and can be read from.
    pub async fn readable_place(
        &self,
        catalog: &Catalog,
        nar: &NarRecord,
    ) -> Result<Option<Arc<CacheStorage>>, CatalogError> {
        for place in self.places_of(catalog, nar).await? {
            if let Some(storage) = self.storage(place)
                && storage.can_be_read().await
            {
                return Ok(Some(storage));
            }
        }
        Ok(None)
    }

    /// Those of the files, whose homes cannot be read from, that have another copy that can.
    pub(super) async fn copied_elsewhere(
        &self,
        catalog: &Catalog,
        nars: &[NarId],
    ) -> Result<HashSet<NarId>, CatalogError> {
        if nars.is_empty() || !self.has_copies() {
            return Ok(HashSet::new());
        }
        let mut copies = catalog.copies_of(nars).await?;
        copies.retain(|_, copies| {
            copies.iter().any(|copy| {
                copy.state == CopyState::There && copy.storage.is_some_and(|storage| self.gives_from(storage))
            })
        });
        Ok(copies.into_keys().collect())
    }

    /// The storages to read a file from, if there are several: faster tiers before slower ones, and in a tier directories before buckets.
    pub(super) async fn copies_to_read(
        &self,
        catalog: &Catalog,
        nar: &NarRecord,
    ) -> Result<Option<Box<Places>>, CatalogError> {
        if !self.has_copies() {
            return Ok(None);
        }
        let mut places = self.places_of(catalog, nar).await?;
        if places.len() < 2 {
            return Ok(None);
        }
        let storages = self.storages();
        let distance = |place: &StorageId| match storages.get(*place) {
            Some(storage) => (storage.config().tier, u8::from(storage.kind() == StorageType::S3)),
            None => (u8::MAX, 0),
        };
        places.sort_by_key(distance);
        let nearest = places.first().map(distance);
        let equals = places.iter().filter(|place| Some(distance(place)) == nearest).count();
        Ok(Some(Box::new(Places::new(places, equals))))
    }

    /// Opens a file on a storage that gives it. What breaks off later goes on from another.
    pub(super) async fn open_any_copy(
        &self,
        catalog: &Catalog,
        name: &NarFileName,
        nar: &KnownNar,
        range: Option<Range<u64>>,
    ) -> Option<Blob> {
        let range = range.unwrap_or(0..nar.size);
        self.reading(catalog, name, nar)?.open(nar.places().collect(), range).await
    }

    /// Opens the rest of a file that a storage has ceased to give.
    pub async fn open_rest(
        &self,
        catalog: &Catalog,
        name: &NarFileName,
        nar: &KnownNar,
        failed: (StorageId, io::Error),
        range: Range<u64>,
    ) -> Option<Blob> {
        let (place, error) = failed;
        let mut reading = self.reading(catalog, name, nar)?;
        reading.has_failed(place, error, Duration::ZERO);
        reading.open(nar.places().collect(), range).await
    }

    fn reading(&self, catalog: &Catalog, name: &NarFileName, nar: &KnownNar) -> Option<Reading> {
        let (cache, catalog) = (self.me.upgrade()?, catalog.clone());
        Some(Reading { cache, catalog, name: *name, nar: nar.id, size: nar.size, failed: Vec::new() })
    }

    /// Finds out, beside whatever goes on, whether a file that could not be read is lost there.
    async fn note_failed_read(
        &self,
        catalog: &Catalog,
        (nar, place): (NarId, StorageId),
        name: &NarFileName,
        error: StorageError,
        took: Duration,
    ) {
        let Some(storage) = self.storage(place) else { return };
        let blame = storage.blame(&error, took).await;
        tracing::warn!(cache = self.name(), error = %chain(&error), ?blame, "could not read a NAR; it is read from another storage");
        self.nars.forget(&name.file_hash);
        if blame == FaultScope::Object
            && let Err(error) = self.hide_nar(catalog, (nar, place), name, &chain(&error)).await
        {
            tracing::warn!(cache = self.name(), error = %chain(&error), "could not record that a copy is damaged");
        }
    }
}

impl Reading {
    /// Takes note that a storage did not give the file.
    fn has_failed(&mut self, place: StorageId, error: io::Error, took: Duration) {
        let context = Attempt {
            storage: self.cache.storage_name(place).into(),
            operation: Operation::Open,
            key: Some(nar_storage::layout::nar_key(&self.name)),
        };
        self.has_failed_with(place, StorageError::from_io(context, error), took);
    }

    fn has_failed_with(&mut self, place: StorageId, error: StorageError, took: Duration) {
        self.failed.push(place);
        let (cache, catalog, name, nar) = (self.cache.clone(), self.catalog.clone(), self.name, self.nar);
        tokio::spawn(async move {
            cache.note_failed_read(&catalog, (nar, place), &name, error, took).await;
        });
    }

    /// Opens the bytes on one of `places`, or wherever else the catalog has the file by now.
    async fn open(mut self, places: Vec<StorageId>, range: Range<u64>) -> Option<Blob> {
        if let Some((place, blob)) = self.open_on(&places, &range).await {
            return Some(self.follow(place, blob));
        }
        // It may have been copied, moved or stored anew since it was looked up.
        let name = self.name;
        self.cache.nars.forget(&name.file_hash);
        let now = self.cache.look_up_nar(&self.catalog, &name.file_hash).await.ok()??;
        let is_new = now.id != self.nar;
        if is_new {
            self.nar = now.id;
            self.failed.clear();
        }
        let others: Vec<StorageId> = now.places().filter(|place| is_new || !places.contains(place)).collect();
        let (place, blob) = self.open_on(&others, &range).await?;
        Some(self.follow(place, blob))
    }

    async fn open_on(&mut self, places: &[StorageId], range: &Range<u64>) -> Option<(StorageId, Blob)> {
        let key = nar_storage::layout::nar_key(&self.name);
        for place in places {
            if self.failed.contains(place) {
                continue;
            }
            let Some(storage) = self.cache.storage(*place) else { continue };
            if storage.liveness.is_lost() {
                continue;
            }
            let begun = Instant::now();
            let opening = storage.storage.open(&key, Some(self.size), Some(range.clone()));
            match timeout(OPEN, opening).await.unwrap_or_else(|_| Err(storage.silent(Operation::Open))) {
                Ok(blob) => {
                    storage.was_read();
                    return Some((*place, blob));
                }
                Err(error) => self.has_failed_with(*place, error, begun.elapsed()),
            }
        }
        None
    }

    /// The blob, which goes on elsewhere if it breaks off.
    fn follow(self, place: StorageId, blob: Blob) -> Blob {
        let (total_size, range) = (blob.total_size, blob.range.clone());
        match blob.into_body() {
            BlobBody::Bytes(bytes) => Blob::from_bytes(total_size, range, bytes),
            BlobBody::Stream(pieces) => {
                let state = State::Reading { pieces, place, since: Instant::now(), stall: None };
                let rest = range.clone();
                Blob::from_stream(total_size, range, Followed { reading: Some(self), rest, state })
            }
        }
    }
}

/// A stream that goes on elsewhere where it breaks off.
struct Followed {
    /// Taken while the rest is opened.
    reading: Option<Reading>,
    /// What is still to come.
    rest: Range<u64>,
    state: State,
}

enum State {
    Reading {
        pieces: BlobStream,
        place: StorageId,
        /// When the last piece came.
        since: Instant,
        /// Runs while a piece is waited for.
        stall: Option<Pin<Box<Sleep>>>,
    },
    /// The rest is opened on another storage, for this error.
    Opening(JoinHandle<Option<Blob>>, Option<io::Error>),
    /// The rest goes on by itself.
    Elsewhere(BlobBody),
    Ended,
}

impl Stream for Followed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if this.rest.is_empty() {
                return Poll::Ready(None);
            }
            match &mut this.state {
                State::Ended => return Poll::Ready(None),
                State::Reading { pieces, place, since, stall } => {
                    let error = match Pin::new(pieces).poll_next(context) {
                        Poll::Ready(Some(Ok(piece))) => {
                            this.rest.start += piece.len() as u64;
                            (*since, *stall) = (Instant::now(), None);
                            return Poll::Ready(Some(Ok(piece)));
                        }
                        Poll::Ready(Some(Err(error))) => error,
                        Poll::Ready(None) => io::ErrorKind::UnexpectedEof.into(),
                        Poll::Pending => {
                            let stall = stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
                            ready!(stall.as_mut().poll(context));
                            io::ErrorKind::TimedOut.into()
                        }
                    };
                    let Some(mut reading) = this.reading.take() else { return Poll::Ready(Some(Err(error))) };
                    let kept = io::Error::new(error.kind(), error.to_string());
                    reading.has_failed(*place, error, since.elapsed());
                    let rest = this.rest.clone();
                    let opening = tokio::spawn(async move {
                        let known =
                            reading.cache.look_up_nar(&reading.catalog, &reading.name.file_hash).await;
                        let places =
                            known.ok().flatten().map(|nar| nar.places().collect()).unwrap_or_default();
                        reading.open(places, rest).await
                    });
                    this.state = State::Opening(opening, Some(kept));
                }
                State::Opening(opening, error) => match ready!(Pin::new(opening).poll(context)) {
                    Ok(Some(blob)) => this.state = State::Elsewhere(blob.into_body()),
                    Ok(None) | Err(_) => {
                        let error = error.take().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                        this.state = State::Ended;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                State::Elsewhere(BlobBody::Bytes(bytes)) => {
                    let bytes = std::mem::take(bytes);
                    this.rest.start += bytes.len() as u64;
                    if !this.rest.is_empty() {
                        this.state = State::Ended;
                    }
                    return Poll::Ready(Some(Ok(bytes)));
                }
                State::Elsewhere(BlobBody::Stream(pieces)) => {
                    let piece = ready!(Pin::new(pieces).poll_next(context));
                    if let Some(Ok(piece)) = &piece {
                        this.rest.start += piece.len() as u64;
                    }
                    return Poll::Ready(piece);
                }
            }
        }
    }
}
