//! How a path gets into a cache.
//!
//! Three protocols end in the same machine: multipart uploads of the Cachix client, its older single upload, and the
//! plain `PUT`s of `nix copy`. Each spools bytes ([`spool`]), learns what they are ([`digest`]), compares that with what
//! the client announced, and commits ([`commit`]). A path becomes visible only once its NAR is verified, durable and
//! recorded.

mod catch_up;
mod collect;
mod commit;
mod content_address;
mod decode;
mod delete;
mod description;
mod digest;
mod error;
mod intent;
mod leftovers;
mod locks;
mod owners;
mod parked;
mod receive;
mod refuge;
mod relocate;
mod signatures;
mod spool;
mod store;
mod take_up;
mod upload;
mod written;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use catalog::{Catalog, CatalogError, PathRecord};
use futures_util::Stream;
use md5::Md5;
use nix_formats::{Compression, FileHash, NarFileName};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use self::collect::{Freed, RemoveError};
pub use self::content_address::{AddressError, Examined, Subject};
pub use self::decode::{decoder, decoder_of};
pub use self::delete::Deletion;
pub use self::description::PathDescription;
pub use self::error::PushError;
pub use self::intent::Intents;
pub use self::receive::receive_to_file;
pub use self::relocate::Relocated;
pub use self::upload::Upload;
pub use self::written::Written;

use self::locks::FileLocks;
use self::owners::Owners;
use self::spool::{Attempt, PartWriter};
use self::upload::Uploads;
use super::Cache;
use crate::auth::TokenRef;

/// Highest part number, as S3 has it.
pub const MAX_PART_NUMBER: u32 = 10_000;
/// Largest part: what the client allows as `--chunk-size`.
const MAX_PART_SIZE: u64 = 5 << 30;
/// Largest file that comes in one piece. The older clients have no other way.
const MAX_FILE_SIZE: u64 = 1 << 40;

/// A part as the client lists it when it completes an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPart {
    /// Its number, from 1.
    pub number: u32,
    /// The entity tag its upload was answered with, with or without quotes.
    pub etag: String,
}

/// Takes pushes for all caches.
pub struct Pusher {
    catalog: Catalog,
    uploads: Uploads,
    intents: Arc<Intents>,
    /// Where several daemons share the catalog.
    owners: Option<Owners>,
    /// Commits run to their end even if the client hangs up; a shutdown waits for them.
    commits: TaskTracker,
    /// Held while a file is stored.
    locks: FileLocks,
    /// Told about every path whose files are to be made durable.
    published: Notify,
    /// Paths whose files this daemon has written, where others share the catalog.
    written: Written,
    /// Whether some of those files are yet to be written.
    publish_again: AtomicBool,
}

impl Pusher {
    /// A pusher that records in `catalog` and notes its intents in `intents`. Other daemons that share the catalog reach
    /// this one at `node_url`.
    pub fn new(catalog: Catalog, intents: Intents, node_url: &str) -> Self {
        Self {
            owners: catalog.is_shared().then(|| Owners::new(catalog.clone(), node_url.to_owned())),
            catalog,
            uploads: Uploads::default(),
            intents: Arc::new(intents),
            commits: TaskTracker::new(),
            locks: FileLocks::default(),
            published: Notify::new(),
            written: Written::default(),
            publish_again: AtomicBool::new(false),
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
        let upload = self.open(cache, Some(owner), compression, None).await?;
        if let Some(owners) = &self.owners
            && let Err(error) = owners.record(upload.id, cache.id).await
        {
            self.give_up(upload.id);
            return Err(error.into());
        }
        Ok(upload)
    }

    /// Opens an upload of `size` bytes in total, if that is known.
    async fn open(
        &self,
        cache: &Arc<Cache>,
        owner: Option<TokenRef>,
        compression: Compression,
        size: Option<u64>,
    ) -> Result<Arc<Upload>, PushError> {
        self.uploads.check_room(cache.id, owner)?;
        // Refused before a byte is sent if no storage could take it.
        if let Err(PushError::Full) = cache.storages().propose(size) {
            cache.storages().look_for_room().await;
            cache.storages().propose(size)?;
        }
        let cache = cache.clone();
        let upload = blocking(move || Upload::create(&cache, owner, compression, size)).await??;
        Ok(self.uploads.insert(upload))
    }

    /// Whether other daemons may push to the same caches.
    fn is_shared(&self) -> bool {
        self.owners.is_some()
    }

    /// The URL of the other daemon that has an upload, if this one does not.
    pub async fn find_owner(&self, cache: &Cache, id: Uuid) -> Result<Option<String>, CatalogError> {
        match &self.owners {
            Some(owners) if self.uploads.find_by_id(cache.id, id).is_none() => {
                owners.find(cache.id, id).await
            }
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
    pub async fn disown_uploads(&self) {
        let Some(owners) = &self.owners else { return };
        if let Err(error) = owners.forget_all().await {
            tracing::warn!(%error, "could not take back the notes of uploads that ended");
        }
    }

    /// Ends an upload without a result.
    fn give_up(&self, id: Uuid) {
        self.uploads.remove(id);
        if let Some(owners) = &self.owners {
            owners.forget(id);
        }
    }

    /// The open upload that a client names.
    pub fn find(&self, cache: &Cache, id: Uuid, upload_id: &str) -> Result<Arc<Upload>, PushError> {
        let upload = self.uploads.find(cache.id, id, upload_id).ok_or(PushError::UnknownUpload)?;
        upload.touch();
        Ok(upload)
    }

    /// The open upload that a signed part URL names.
    pub fn find_signed(&self, cache: &Cache, id: Uuid) -> Result<Arc<Upload>, PushError> {
        let upload = self.uploads.find_by_id(cache.id, id).ok_or(PushError::UnknownUpload)?;
        upload.touch();
        Ok(upload)
    }

    /// Takes the bytes of one part and returns its entity tag, the quoted MD5 in hexadecimal. `announced` is what its
    /// MD5 has to be.
    pub async fn put_part<S>(
        &self,
        upload: &Arc<Upload>,
        number: u32,
        len: Option<u64>,
        announced: [u8; 16],
        body: S,
    ) -> Result<String, PushError>
    where
        S: Stream<Item = Result<Bytes, String>>,
    {
        let writer = begin_part(upload, number, len, MAX_PART_SIZE).await?;
        upload.digest_eagerly(&self.uploads.eager_slots);
        let (writer, md5) = receive_for(upload, body, writer, Md5::new(), MAX_PART_SIZE).await?;
        let md5: [u8; 16] = md5.finalize().into();
        check_length(&writer, len)?;
        if md5 != announced {
            return Err(PushError::Checksum("Content-MD5"));
        }
        writer.finish(md5);
        upload.touch();
        Ok(etag(&md5))
    }

    /// Ends an upload in parts: verifies it against `description` and commits the path. `parts` may be absent, then
    /// everything that arrived counts. May be repeated.
    pub async fn complete(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        id: Uuid,
        upload_id: &str,
        parts: Option<Vec<ListedPart>>,
        description: PathDescription,
    ) -> Result<(), PushError> {
        let Some(upload) = self.uploads.find(cache.id, id, upload_id) else {
            return self.find_completed(cache, id).await;
        };
        // Held until the commit is through, so that a repeated request waits for the first one's result.
        let completing = upload.completing.clone().lock_owned().await;
        if self.uploads.find(cache.id, id, upload_id).is_none() {
            return self.find_completed(cache, id).await;
        }
        upload.touch();
        let parts = match_parts(&upload, parts)?;
        self.commit_detached(cache, upload, parts, description, completing).await
    }

    /// Succeeds if an upload that is not open here was completed before, by whichever daemon: then a repeated `complete` is
    /// a success as well. Its path is visible here when this returns.
    pub async fn find_completed(&self, cache: &Cache, id: Uuid) -> Result<(), PushError> {
        match self.catalog.find_finished_upload(id).await? {
            Some(finished) if finished.cache == cache.id && self.catch_up(cache, &finished.path).await? => {
                Ok(())
            }
            _ => Err(PushError::UnknownUpload),
        }
    }

    /// Ends an upload without a result. Unknown and finished uploads are left alone.
    pub fn abort(&self, cache: &Cache, id: Uuid, upload_id: &str) {
        if self.uploads.find(cache.id, id, upload_id).is_some() {
            self.give_up(id);
        }
    }

    /// Takes a compressed NAR in one piece; it waits for its narinfo. `name` is what it claims to be called, `owner` the
    /// token it is sent with.
    pub async fn put_file<S>(
        &self,
        cache: &Arc<Cache>,
        owner: Option<TokenRef>,
        compression: Compression,
        name: Option<&NarFileName>,
        len: Option<u64>,
        body: S,
    ) -> Result<FileHash, PushError>
    where
        S: Stream<Item = Result<Bytes, String>>,
    {
        let upload = self.open(cache, owner, compression, len).await?;
        let received = self.receive_file(&upload, name, len, body).await;
        let recorded = match (received, &self.owners) {
            (Ok(file), Some(owners)) => {
                owners.record_file(upload.id, cache.id, file).await.map(|()| file).map_err(PushError::from)
            }
            (received, _) => received,
        };
        match recorded {
            Ok(file) => {
                if let Some(replaced) = self.uploads.await_narinfo(&upload, file) {
                    self.give_up(replaced);
                }
            }
            // Nobody else was told of it, or it is not known whether they were.
            Err(PushError::Catalog(_)) => self.give_up(upload.id),
            Err(_) => self.uploads.remove(upload.id),
        }
        recorded
    }

    async fn receive_file<S>(
        &self,
        upload: &Arc<Upload>,
        name: Option<&NarFileName>,
        len: Option<u64>,
        body: S,
    ) -> Result<FileHash, PushError>
    where
        S: Stream<Item = Result<Bytes, String>>,
    {
        let writer = begin_part(upload, 1, len, MAX_FILE_SIZE).await?;
        upload.digest_eagerly(&self.uploads.eager_slots);
        let (writer, hash) = receive_for(upload, body, writer, Sha256::new(), MAX_FILE_SIZE).await?;
        let file = FileHash::from_bytes(hash.finalize().into());
        check_length(&writer, len)?;
        if name.is_some_and(|name| name.file_hash != file) {
            return Err(PushError::Checksum("SHA-256 in its name"));
        }
        // One part only, so its MD5 is never asked for.
        writer.finish([0; 16]);
        upload.spool.seal_parts(stored_parts(upload));
        let (spool, name) =
            (upload.spool.clone(), NarFileName { file_hash: file, compression: upload.compression });
        if let Err(error) = blocking(move || spool.note_whole(&name)).await? {
            tracing::warn!(%error, "a file that waits for its narinfo will not outlive a restart");
        }
        upload.touch();
        Ok(file)
    }

    /// Commits the path whose NAR came in one piece before, or is in the cache already because another path has the
    /// same file.
    pub async fn commit_file(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        description: PathDescription,
    ) -> Result<(), PushError> {
        match self.uploads.find_file(cache.id, description.file_hash) {
            Some(upload) => {
                let completing = upload.completing.clone().lock_owned().await;
                let parts = stored_parts(&upload);
                self.commit_detached(cache, upload, parts, description, completing).await
            }
            None => self.commit_known_detached(cache, description).await,
        }
    }

    /// Ends uploads that nobody has touched for `limit` and returns how many.
    pub fn expire(&self, limit: Duration) -> usize {
        let expired = self.uploads.expired(limit);
        expired.iter().for_each(|id| self.give_up(*id));
        expired.len()
    }

    /// Ends the uploads whose tokens `is_ended`, with what is under way of them, and returns how many.
    pub fn end_uploads_of(&self, is_ended: impl Fn(TokenRef) -> bool) -> usize {
        let ended = self.uploads.of_tokens(is_ended);
        ended.iter().for_each(|id| self.give_up(*id));
        ended.len()
    }

    /// Notes that the files of a path were written, and are to be made durable.
    fn wrote(&self, path: &PathRecord) {
        if self.is_shared() {
            self.written.add(path);
        }
        self.published.notify_one();
    }

    /// What this daemon wrote since it was taken last. Empty where no other one shares the catalog.
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// Waits until a path was published since the last call.
    pub async fn published(&self) {
        self.published.notified().await;
    }

    /// Asks for the files of all paths that are not known to be published to be written again.
    pub fn publish_again(&self) {
        self.publish_again.store(true, Ordering::Relaxed);
        self.published.notify_one();
    }

    /// Whether that was asked for since the last call.
    pub fn take_publish_again(&self) -> bool {
        self.publish_again.swap(false, Ordering::Relaxed)
    }

    /// Waits until no commit is under way. No new ones may be started.
    pub async fn drain(&self) {
        self.commits.close();
        self.commits.wait().await;
    }
}

/// Runs blocking work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PushError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| PushError::Internal)
}

/// Receives a body for an upload, unless that ends before the body does.
async fn receive_for<S, H>(
    upload: &Upload,
    body: S,
    writer: PartWriter,
    hash: H,
    limit: u64,
) -> Result<(PartWriter, H), PushError>
where
    S: Stream<Item = Result<Bytes, String>>,
    H: receive::BodyHash,
{
    let receiving = receive::receive(body, writer, hash, limit);
    upload.ended.run_until_cancelled(receiving).await.ok_or(PushError::UnknownUpload)?
}

async fn begin_part(
    upload: &Upload,
    number: u32,
    len: Option<u64>,
    limit: u64,
) -> Result<PartWriter, PushError> {
    if len.is_some_and(|len| len > limit) {
        return Err(PushError::TooLarge(format!("the body is larger than {limit} bytes")));
    }
    let spool = upload.spool.clone();
    Ok(blocking(move || spool.begin(number, len)).await??)
}

fn check_length(writer: &PartWriter, announced: Option<u64>) -> Result<(), PushError> {
    match announced {
        Some(len) if len != writer.written() => {
            Err(PushError::Body(format!("{} of {len} bytes came", writer.written())))
        }
        _ => Ok(()),
    }
}

/// All parts that arrived, in order.
fn stored_parts(upload: &Upload) -> Vec<(u32, Attempt)> {
    upload.spool.parts().iter().map(|(number, part)| (*number, part.attempt)).collect()
}

fn etag(md5: &[u8; 16]) -> String {
    let hex: String = md5.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// Compares the client's list with what arrived. Both must name parts 1 to n without a gap.
fn match_parts(upload: &Upload, listed: Option<Vec<ListedPart>>) -> Result<Vec<(u32, Attempt)>, PushError> {
    let stored = upload.spool.parts();
    if stored.is_empty() {
        return Err(PushError::Parts("no part of this upload has arrived".to_owned()));
    }
    if let Some(mut listed) = listed {
        listed.sort_by_key(|part| part.number);
        for pair in listed.windows(2) {
            if pair[0].number == pair[1].number {
                return Err(PushError::Parts(format!("part {} is listed twice", pair[0].number)));
            }
        }
        for part in &listed {
            let known = stored
                .get(&part.number)
                .ok_or_else(|| PushError::Parts(format!("part {} has not arrived", part.number)))?;
            if part.etag.trim_matches('"') != etag(&known.md5).trim_matches('"') {
                return Err(PushError::Parts(format!("part {} has another ETag", part.number)));
            }
        }
        if let Some(missing) = stored.keys().find(|number| !listed.iter().any(|part| part.number == **number))
        {
            return Err(PushError::Parts(format!("part {missing} arrived but is not listed")));
        }
    }
    for (expected, number) in (1..).zip(stored.keys()) {
        if expected != *number {
            return Err(PushError::Parts(format!("part {expected} is missing")));
        }
    }
    Ok(stored.iter().map(|(number, part)| (*number, part.attempt)).collect())
}
