//! Uploads between their first byte and the end: parts that arrive in any order, spooled on disk and digested on the way.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | opening, finding and ending uploads |
//! | `parts.rs` | receiving bytes: parts, or a file in one piece |
//! | `open.rs` | one upload, and the table of all that are open, with its limits |
//! | `receive.rs` | a request body on its way to disk |
//! | `spool.rs`, `spool_dirs.rs` | the bytes on disk, and where they go on when a disk gives out |
//! | `digest.rs` | what an upload turns out to be |
//! | `daily.rs` | how much was pushed today with tokens that have a limit |
//! | `resume.rs` | uploads that outlive the process |
//! | `owners.rs` | which daemon has an upload, where several share the catalog |
//!
//! Whether an upload becomes a path is decided in [`ingest`](crate::ingest); nothing here knows that.

mod daily;
mod digest;
mod open;
mod owners;
mod parts;
mod receive;
mod resume;
mod spool;
mod spool_dirs;

use std::sync::Arc;
use std::time::Duration;

use catalog::{CacheId, Catalog, CatalogError};
use nix_formats::{Compression, FileHash};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub use self::digest::Digest;
pub use self::open::Upload;
pub use self::parts::{ListedPart, MAX_PART_NUMBER, match_parts, stored_parts};
pub use self::receive::receive_to_file;
pub use self::spool::Attempt;

use self::daily::DailyUse;
use self::open::OpenUploads;
use self::owners::Owners;
use crate::auth::TokenRef;
use crate::cache::{Cache, PushError};
use crate::chain::chain;
use crate::nar_store::NarStore;

/// All unfinished uploads of the daemon.
pub struct Uploads {
    catalog: Catalog,
    open: OpenUploads,
    /// Makes room for them.
    nar_store: Arc<NarStore>,
    /// Where several daemons share the catalog.
    owners: Option<Owners>,
    daily: DailyUse,
}

impl Uploads {
    /// No uploads yet. Other daemons that share `catalog` reach this one at `node_url`.
    pub fn new(catalog: &Catalog, nar_store: Arc<NarStore>, node_url: &str) -> Self {
        let owners = catalog.is_shared().then(|| Owners::new(catalog.clone(), node_url.to_owned()));
        Self {
            catalog: catalog.clone(),
            open: OpenUploads::default(),
            nar_store,
            owners,
            daily: DailyUse::default(),
        }
    }

    /// Opens an upload in several parts, with the token `owner`. Other daemons that share the catalog can find it when this
    /// returns.
    pub async fn create(
        &self,
        cache: &Arc<Cache>,
        owner: TokenRef,
        compression: Compression,
    ) -> Result<Arc<Upload>, PushError> {
        let upload = self.open_upload(cache, Some(owner), compression, None).await?;
        if let Some(owners) = &self.owners
            && let Err(error) = owners.record(upload.id, cache.id).await
        {
            self.end(upload.id);
            return Err(error.into());
        }
        Ok(upload)
    }

    /// Opens an upload of `size` bytes in total, if that is known.
    async fn open_upload(
        &self,
        cache: &Arc<Cache>,
        owner: Option<TokenRef>,
        compression: Compression,
        size: Option<u64>,
    ) -> Result<Arc<Upload>, PushError> {
        self.check_catalog()?;
        self.open.check_room(cache.id, owner)?;
        // Refused before a byte is sent if no storage could take it.
        while let Err(error) = cache.storages().propose(size) {
            let has_room = || cache.storages().propose(size).is_ok();
            // Another push may take the room before this one does.
            if !error.is_full()
                || !self.nar_store.make_room_for_push(cache, size.unwrap_or(0), has_room).await?
            {
                return Err(error);
            }
        }
        Ok(self.open.insert(Upload::create(cache, &self.nar_store, owner, compression, size)))
    }

    /// Fails while the catalog cannot be written, before a client sends bytes that could not be recorded.
    fn check_catalog(&self) -> Result<(), PushError> {
        if self.catalog.is_writable() { Ok(()) } else { Err(PushError::CatalogReadOnly) }
    }

    /// The URL of the other daemon that has an upload, if this one does not.
    pub async fn find_owner(&self, cache: &Cache, id: Uuid) -> Result<Option<String>, CatalogError> {
        match &self.owners {
            Some(owners) if self.open.find_by_id(cache.id, id).is_none() => owners.find(cache.id, id).await,
            _ => Ok(None),
        }
    }

    /// The URLs of other daemons that have a file which waits for its narinfo.
    pub async fn find_holders(&self, cache: &Cache, file: &FileHash) -> Result<Vec<String>, CatalogError> {
        match &self.owners {
            Some(owners) => owners.find_file(cache.id, file).await,
            None => Ok(Vec::new()),
        }
    }

    /// Takes back what other daemons know of uploads here. Before the first of them: little of what is spooled outlives the
    /// process.
    pub async fn clear_stale_upload_ownership(&self) {
        let Some(owners) = &self.owners else { return };
        if let Err(error) = owners.forget_all().await {
            tracing::warn!(error = %chain(&error), "could not take back the notes of uploads that ended");
        }
    }

    /// Ends an upload without a result.
    pub fn end(&self, id: Uuid) {
        self.open.remove(id);
        if let Some(owners) = &self.owners {
            owners.forget(id);
        }
    }

    /// Ends an upload whose path is recorded, which has taken back the note of it.
    pub fn finish(&self, id: Uuid) {
        self.open.remove(id);
    }

    /// All unfinished uploads of this daemon.
    pub fn all(&self) -> Vec<Arc<Upload>> {
        self.open.all()
    }

    /// Whether an upload is open here.
    pub fn is_open(&self, cache: CacheId, id: Uuid) -> bool {
        self.open.find_by_id(cache, id).is_some()
    }

    /// The upload that brought this file, if it waits for its narinfo.
    pub fn find_file(&self, cache: CacheId, file: FileHash) -> Option<Arc<Upload>> {
        self.open.find_file(cache, file)
    }

    /// Turns to digest uploads that are complete.
    pub fn digest_slots(&self) -> &Arc<Semaphore> {
        &self.open.digest_slots
    }

    /// The open upload that a client names.
    pub fn find(&self, cache: &Cache, id: Uuid, upload_id: &str) -> Result<Arc<Upload>, PushError> {
        let upload = self.open.find(cache.id, id, upload_id).ok_or(PushError::UnknownUpload)?;
        upload.touch();
        Ok(upload)
    }

    /// The open upload that a signed part URL names.
    pub fn find_signed(&self, cache: &Cache, id: Uuid) -> Result<Arc<Upload>, PushError> {
        let upload = self.open.find_by_id(cache.id, id).ok_or(PushError::UnknownUpload)?;
        upload.touch();
        Ok(upload)
    }

    /// Ends an upload without a result. Unknown and finished uploads are left alone.
    pub fn abort(&self, cache: &Cache, id: Uuid, upload_id: &str) {
        if self.open.find(cache.id, id, upload_id).is_some() {
            self.end(id);
        }
    }

    /// Ends uploads that nobody has touched for `limit` and returns how many.
    pub fn expire(&self, limit: Duration) -> usize {
        let expired = self.open.expired(limit);
        expired.iter().for_each(|id| self.end(*id));
        expired.len()
    }

    /// Ends the uploads whose tokens `is_ended`, with what is under way of them, and returns how many.
    pub fn end_uploads_of(&self, is_ended: impl Fn(TokenRef) -> bool) -> usize {
        let ended = self.open.of_tokens(is_ended);
        ended.iter().for_each(|id| self.end(*id));
        ended.len()
    }
}
