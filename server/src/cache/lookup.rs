//! Finding what a reader asks for.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalog::{Catalog, CatalogError, Damage, NarId, PathRecord, StorageId, UnixTime};
use http::HeaderValue;
use nar_storage::{Blob, FileObject, Operation, StorageError, layout};
use nix_formats::{FileHash, NarFileName, StorePathHash, nix32};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::Cache;
use super::index::{NarinfoReply, Presence};
use super::narinfo::narinfo;
use super::nars::{KnownNar, Places};
use super::storages::{CacheStorage, FaultScope, any_answers};

use crate::chain::chain;

/// How long a storage may take to open a NAR. A disk that hangs takes longer to be found out by itself.
pub(super) const OPEN: Duration = Duration::from_millis(1900);
/// How long a link to a NAR may be used to begin a download.
const LINK_VALIDITY: Duration = Duration::from_secs(900);

/// A whole NAR that was opened without waiting.
pub struct OpenedNow {
    /// The NAR.
    pub nar: Arc<KnownNar>,
    /// The storage that it is read from.
    pub place: StorageId,
    /// Its bytes.
    pub file: FileObject,
}

/// A NAR could not be opened.
struct Failed<'a> {
    storage: &'a CacheStorage,
    error: StorageError,
    took: Duration,
}

/// Why something that might be there could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// What is known without asking anybody.
pub enum Known<T> {
    /// It is there.
    Present(T),
    /// It is not there.
    Absent,
    /// Somebody has to be asked.
    Unknown,
}

impl Cache {
    /// The narinfo of a path, if the cache holds it.
    pub async fn find_narinfo(
        &self,
        catalog: &Catalog,
        hash: &StorePathHash,
    ) -> Result<Option<Arc<NarinfoReply>>, LookupError> {
        let now = UnixTime::now();
        if let Some(reply) = self.index.reply(hash, now) {
            // Boxed, as are the queries here: their futures are large, and the hot path would carry them along.
            let readable = match reply.can_be_read_now(now) {
                Some(readable) => readable,
                None => Box::pin(reply.can_be_read()).await,
            };
            if readable {
                return Ok(Some(reply));
            }
            if !self.has_copies() {
                return Ok(None);
            }
            // It may have been copied since, or have another home.
            self.index.forget_reply(hash);
        }
        if !self.index.touch(hash, now) && self.index.look(hash) == Presence::Absent {
            return Ok(None);
        }
        Box::pin(self.render_narinfo(catalog, hash)).await
    }

    /// What is known at once of the narinfo of a path.
    pub fn find_narinfo_now(&self, hash: &StorePathHash, now: UnixTime) -> Known<Arc<NarinfoReply>> {
        match self.index.reply(hash, now) {
            Some(reply) => match reply.can_be_read_now(now) {
                Some(true) => Known::Present(reply),
                Some(false) | None => Known::Unknown,
            },
            None if self.index.look(hash) == Presence::Absent => Known::Absent,
            None => Known::Unknown,
        }
    }

    /// Opens a whole NAR if that takes no waiting. `None` says nothing about it.
    pub fn open_nar_now(&self, name: &NarFileName) -> Option<OpenedNow> {
        let nar = self.nars.get(&name.file_hash).filter(|nar| nar.compression == name.compression)?;
        let storages = self.storages.load();
        // One that cannot be opened is left to the slow way, which finds out why and reads another copy.
        let mut places = nar.places().filter_map(|place| storages.get(place));
        let storage = places.find(|storage| !storage.liveness.is_lost())?;
        if storage.redirects() {
            return None;
        }
        let file = storage.storage.open_now(&nar.key, nar.size)?;
        storage.was_read();
        let place = storage.id;
        drop(places);
        Some(OpenedNow { nar, place, file })
    }

    async fn render_narinfo(
        &self,
        catalog: &Catalog,
        hash: &StorePathHash,
    ) -> Result<Option<Arc<NarinfoReply>>, LookupError> {
        let generation = self.index.generation();
        let Some(record) = self.find_path(catalog, hash).await? else { return Ok(None) };
        // A storage that was taken out of the configuration, or that fails, promises nothing for now.
        let mut storages: Vec<_> = self
            .places_of(catalog, &record.nar)
            .await?
            .into_iter()
            .filter_map(|place| self.storage(place))
            .collect();
        if !any_answers(storages.iter()).await {
            return Ok(None);
        }
        let storage = storages.remove(0);
        if self.index.look(hash) == Presence::Unsure {
            // It is used, and has to be there to be noted so.
            self.index.insert_loaded(*hash);
            self.index.touch(hash, UnixTime::now());
        }
        let reply = Arc::new(render(self, &record, storage).with_copies(storages));
        self.index.keep_reply(*hash, reply.clone(), generation);
        Ok(Some(reply))
    }

    /// Whether the cache holds the path and can give it, as far as is known. If it holds it, that counts as use: whoever
    /// pushes it is told that it is there.
    pub async fn can_serve(&self, catalog: &Catalog, hash: &StorePathHash) -> Result<bool, CatalogError> {
        let is_held = self.index.touch(hash, UnixTime::now());
        if !is_held && self.index.look(hash) == Presence::Absent {
            return Ok(false);
        }
        // Another daemon may have hidden it a moment ago.
        if is_held && !catalog.is_shared() && self.storages().unreachable().is_empty() {
            return Ok(true);
        }
        let record = catalog.find_path(self.id, hash).await?;
        match record {
            Some(record) => self.gives(catalog, &record.nar).await,
            None => Ok(false),
        }
    }

    /// Those of `asked` that the cache does not hold, or cannot give at the moment, in their order. What is present counts
    /// as used: whoever is told so relies on it.
    pub async fn missing(
        &self,
        catalog: &Catalog,
        asked: &[StorePathHash],
    ) -> Result<Vec<StorePathHash>, CatalogError> {
        self.index.completed().await;
        let now = UnixTime::now();
        let lost = self.storages().unreachable();
        let homes = if lost.is_empty() { HashMap::new() } else { catalog.path_homes(self.id, asked).await? };
        let nars: Vec<NarId> =
            homes.values().filter(|home| lost.contains(&home.storage)).map(|home| home.nar).collect();
        let copied = self.copied_elsewhere(catalog, &nars).await?;
        let is_lost = |hash: &StorePathHash| {
            homes.get(hash).is_some_and(|home| lost.contains(&home.storage) && !copied.contains(&home.nar))
        };
        Ok(asked.iter().filter(|hash| is_lost(hash) || !self.index.touch(hash, now)).copied().collect())
    }

    /// Writes down the uses that were noted since this was done last.
    pub async fn record_uses(&self, catalog: &Catalog) -> Result<(), CatalogError> {
        let touched = self.index.take_touched();
        if touched.is_empty() {
            return Ok(());
        }
        let recorded = catalog.touch(touched.clone()).await;
        if recorded.is_err() {
            // Those that were recorded after all are recorded once more, which changes nothing.
            self.index.put_touched_back(touched);
        }
        recorded
    }

    /// Makes a path visible that was recorded just now.
    pub fn show_recorded(&self, catalog: &Catalog, path: StorePathHash) {
        if catalog.is_shared() {
            self.index.insert_ahead_of_feed(path);
        } else {
            self.index.insert(path);
        }
    }

    /// The catalog's record of a path that readers may have: a visible one, with a complete closure where the configuration asks for that.
    pub async fn find_path(
        &self,
        catalog: &Catalog,
        hash: &StorePathHash,
    ) -> Result<Option<PathRecord>, LookupError> {
        if self.index.look(hash) == Presence::Absent {
            return Ok(None);
        }
        // Another daemon may have found it damaged a moment ago.
        let record = catalog.find_path(self.id, hash).await?.filter(|record| !record.nar.damaged);
        Ok(record.filter(|record| record.missing_reference.is_none() || !self.is_strict()))
    }

    /// The NAR file of this name, if a visible path has it.
    pub async fn find_nar(
        &self,
        catalog: &Catalog,
        name: &NarFileName,
    ) -> Result<Option<Arc<KnownNar>>, LookupError> {
        let known = match self.nars.get(&name.file_hash) {
            Some(known) => Some(known),
            None => Box::pin(self.look_up_nar(catalog, &name.file_hash)).await?,
        };
        Ok(known.filter(|nar| nar.compression == name.compression))
    }

    pub(super) async fn look_up_nar(
        &self,
        catalog: &Catalog,
        hash: &FileHash,
    ) -> Result<Option<Arc<KnownNar>>, LookupError> {
        let generation = self.nars.generation();
        let record = catalog.find_needed_nar(self.id, hash).await?.filter(|nar| !nar.damaged);
        let Some(record) = record else { return Ok(None) };
        let name = NarFileName { file_hash: *hash, compression: record.compression };
        let copies = self.copies_to_read(catalog, &record).await?;
        let home = [record.storage];
        let can_be_promoted = self.can_be_promoted(copies.as_deref().map_or(&home[..], Places::all));
        let known = Arc::new(KnownNar {
            id: record.id,
            storage: record.storage,
            can_be_promoted,
            copies,
            compression: record.compression,
            size: record.file_size,
            key: layout::nar_key(&name),
            etag: quoted(&hash.to_string()),
        });
        self.nars.remember(*hash, known.clone(), generation);
        Ok(Some(known))
    }

    /// A link from which readers get the NAR without us, if its storage wants that. It was given a sign of life lately, as
    /// the NAR is not looked at.
    pub async fn link_to(&self, nar: &KnownNar) -> Option<HeaderValue> {
        let places = nar.places().filter_map(|place| self.storage(place));
        let storage = places.into_iter().find(|storage| !storage.liveness.is_lost())?;
        if !storage.redirects() || !storage.can_be_read().await {
            return None;
        }
        let link = storage.storage.presign_get(&nar.key, LINK_VALIDITY).await;
        let link = link.inspect_err(|error| storage.failed(error)).ok()??;
        HeaderValue::try_from(link).ok()
    }

    /// Opens a NAR. `None` if its storage cannot give it: then it is hidden when it is lost, and merely absent for the
    /// moment when the storage does not answer.
    pub async fn open_nar(
        &self,
        catalog: &Catalog,
        name: &NarFileName,
        nar: &KnownNar,
        range: Option<Range<u64>>,
    ) -> Result<Option<Blob>, LookupError> {
        if self.has_copies() {
            return Ok(Box::pin(self.open_any_copy(catalog, name, nar, range)).await);
        }
        let Some(storage) = self.storage(nar.storage) else { return Ok(None) };
        if storage.liveness.is_lost() {
            return Ok(None);
        }
        let begun = Instant::now();
        let opening = storage.storage.open(&nar.key, Some(nar.size), range.clone());
        let opened = timeout(OPEN, opening).await;
        match opened.unwrap_or_else(|_| Err(storage.silent(Operation::Open))) {
            Ok(blob) => {
                storage.was_read();
                Ok(Some(blob))
            }
            Err(error) => {
                let failed = Failed { storage: &storage, error, took: begun.elapsed() };
                Box::pin(self.open_elsewhere(catalog, name, nar, range, failed)).await
            }
        }
    }

    /// Opens a NAR again if it could not be opened because it was moved to another storage meanwhile. Else finds out whose
    /// fault it is: its own, or that of the storage as a whole.
    async fn open_elsewhere(
        &self,
        catalog: &Catalog,
        name: &NarFileName,
        nar: &KnownNar,
        range: Option<Range<u64>>,
        failed: Failed<'_>,
    ) -> Result<Option<Blob>, LookupError> {
        let error = failed.error;
        let blame = failed.storage.blame(&error, failed.took).await;
        if blame != FaultScope::Object {
            tracing::warn!(cache = self.name(), error = %chain(&error), ?blame, "could not read a NAR");
            return Ok(None);
        }
        self.nars.forget(&name.file_hash);
        if let Some(now) = self.look_up_nar(catalog, &name.file_hash).await?
            && now.id != nar.id
            && let Some(elsewhere) = self.storage(now.storage)
        {
            return Ok(elsewhere.storage.open(&now.key, Some(now.size), range).await.ok());
        }
        self.hide_nar(catalog, (nar.id, nar.storage), name, &chain(&error)).await?;
        Ok(None)
    }

    /// Takes note that a NAR is missing or damaged on a storage, for `reason`. Hides every path that needs it, unless there is
    /// another copy.
    pub async fn hide_nar(
        &self,
        catalog: &Catalog,
        (nar, storage): (NarId, StorageId),
        name: &NarFileName,
        reason: &str,
    ) -> Result<(), CatalogError> {
        let damage = catalog.mark_damaged(nar, storage).await?;
        self.nars.forget(&name.file_hash);
        let paths = match damage {
            Damage::Hidden(paths) => paths,
            Damage::Saved(paths) => {
                for path in &paths {
                    self.index.forget_reply(path);
                }
                tracing::error!(cache = self.name(), nar = %name, storage = self.storage_name(storage), reason,
                    "a copy of a NAR is damaged; it is read from another storage, and the copy is replaced");
                return Ok(());
            }
            Damage::Unconcerned => return Ok(()),
        };
        for path in &paths {
            self.index.remove(path);
        }
        self.forget_incomplete();
        tracing::error!(cache = self.name(), nar = %name, paths = paths.len(), reason,
            "a NAR is damaged; its paths are hidden until they are pushed again");
        Ok(())
    }
}

fn render(cache: &Cache, record: &PathRecord, storage: Arc<CacheStorage>) -> NarinfoReply {
    let body = Bytes::from(narinfo(cache, record).to_string());
    let etag = etag_of(&body);
    NarinfoReply::new(body, etag, storage)
}

/// The entity tag of a reply that is rendered from what is known.
pub fn etag_of(body: &[u8]) -> HeaderValue {
    quoted(&nix32::encode(&Sha256::digest(body)[..20]))
}

/// The entity tag of these base-32 digits.
fn quoted(digits: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{digits}\"")).expect("nix32 is visible ASCII")
}
