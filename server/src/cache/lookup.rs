//! Finding what a reader asks for.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use catalog::{Catalog, CatalogError, PathRecord, UnixTime};
use http::HeaderValue;
use nar_storage::{Blob, Key, StorageError, layout};
use nix_formats::{FileHash, NarFileName, StorePathHash, nix32};
use sha2::{Digest, Sha256};

use super::Cache;
use super::index::NarinfoReply;
use super::nars::KnownNar;
use super::publish::narinfo;

/// Why something that might be there could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
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
            return Ok(Some(reply));
        }
        if !self.index.touch(hash, now) {
            return Ok(None);
        }
        // Boxed, as are the other queries here: a query's future is large, and the hot path would carry it along.
        Box::pin(self.render_narinfo(catalog, hash)).await
    }

    async fn render_narinfo(
        &self,
        catalog: &Catalog,
        hash: &StorePathHash,
    ) -> Result<Option<Arc<NarinfoReply>>, LookupError> {
        let generation = self.index.generation();
        let Some(record) = self.find_path(catalog, hash).await? else { return Ok(None) };
        let reply = Arc::new(render(&record));
        self.index.keep_reply(*hash, reply.clone(), generation);
        Ok(Some(reply))
    }

    /// The catalog's record of a visible path.
    pub async fn find_path(
        &self,
        catalog: &Catalog,
        hash: &StorePathHash,
    ) -> Result<Option<PathRecord>, LookupError> {
        if !self.index.contains(hash) {
            return Ok(None);
        }
        Ok(catalog.find_path(self.id, hash).await?)
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

    async fn look_up_nar(
        &self,
        catalog: &Catalog,
        hash: &FileHash,
    ) -> Result<Option<Arc<KnownNar>>, LookupError> {
        let record = catalog.find_nar(self.id, hash).await?.filter(|nar| !nar.damaged);
        let Some(record) = record else { return Ok(None) };
        let name = NarFileName { file_hash: *hash, compression: record.compression };
        let known = Arc::new(KnownNar {
            id: record.id,
            storage: record.storage,
            compression: record.compression,
            size: record.file_size,
            key: layout::nar_key(&name),
            etag: quoted(&hash.to_string()),
        });
        self.nars.remember(*hash, known.clone());
        Ok(Some(known))
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
        let Some(storage) = self.storage(nar.storage) else { return Ok(None) };
        match storage.storage.open(&nar.key, Some(nar.size), range).await {
            Ok(blob) => Ok(Some(blob)),
            Err(error) if error.is_lost() => {
                Box::pin(self.hide_damaged(catalog, name, nar, &error)).await?;
                Ok(None)
            }
            Err(error) => {
                tracing::warn!(cache = self.name(), %error, "could not read a NAR");
                Ok(None)
            }
        }
    }

    /// Hides every path whose NAR is missing or has the wrong size. The next push of such a path heals it.
    async fn hide_damaged(
        &self,
        catalog: &Catalog,
        name: &NarFileName,
        nar: &KnownNar,
        error: &StorageError,
    ) -> Result<(), LookupError> {
        let paths = catalog.mark_damaged(nar.id).await?;
        self.nars.forget(&name.file_hash);
        for path in &paths {
            self.index.remove(path);
        }
        tracing::error!(cache = self.name(), nar = %name, paths = paths.len(), %error,
            "a NAR is damaged; its paths are hidden until they are pushed again");
        Ok(())
    }

    /// Opens a file that is not tracked by the catalog (a listing, a log, a realisation …) from whichever storage has
    /// it. A storage that fails counts as not having it.
    pub async fn open_untracked(&self, key: &Key) -> Option<Blob> {
        for storage in &self.storages {
            match storage.storage.open(key, None, None).await {
                Ok(blob) => return Some(blob),
                Err(error) if error.is_not_found() => {}
                Err(error) => tracing::warn!(cache = self.name(), %error, "could not read a file"),
            }
        }
        None
    }
}

fn render(record: &PathRecord) -> NarinfoReply {
    let body = Bytes::from(narinfo(record).to_string());
    let digest = Sha256::digest(&body);
    NarinfoReply::new(body, quoted(&nix32::encode(&digest[..20])))
}

/// The entity tag of these base-32 digits.
fn quoted(digits: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{digits}\"")).expect("nix32 is visible ASCII")
}
