//! Writing the files of one path.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use catalog::PathRecord;
use futures_util::{StreamExt, TryStreamExt, stream};
use nar_storage::{Durability, Key, StorageError, layout};
use nix_formats::nar::BuildId;
use nix_formats::{NarFileName, StorePathHash};
use uuid::Uuid;

use crate::cache::Cache;
use crate::cache::contents::{self, Contents, ContentsError, StoredListing};
use crate::cache::narinfo::{nar_file_name, stored_narinfo};
use crate::cache::storages::CacheStorage;
use crate::decode::decoder;

/// Debug links that are written at once.
const LINKS_AT_ONCE: usize = 8;
/// Largest listing that is copied; a larger one is made anew.
const LISTING_LIMIT: u64 = 64 << 20;

/// Why a path's files could not be written. The path itself is safe.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The NAR could not be read again.
    #[error("could not read the NAR")]
    Contents(#[from] ContentsError),
    /// Its decompressor could not be set up.
    #[error("could not unpack the NAR")]
    Io(#[from] io::Error),
    /// The catalog names a storage that is not configured any more.
    #[error("its storage is not configured")]
    NoStorage,
    /// The task died.
    #[error("interrupted")]
    Interrupted,
}

/// Writes the files of a path. Without `contents` (after a restart, or when another path brought the NAR) they are
/// derived from the stored NAR.
pub(super) async fn write_files(
    cache: &Arc<Cache>,
    record: &PathRecord,
    contents: Option<Contents>,
) -> Result<(), PublishError> {
    let storage = cache.storage(record.nar.storage).ok_or(PublishError::NoStorage)?;
    let (contents, _temporary) = match contents {
        Some(contents) => (contents, None),
        None => {
            let (contents, temporary) = read_stored(&storage, record).await?;
            (contents, Some(temporary))
        }
    };
    let hash = record.path.hash();
    let backend = &storage.storage;
    let mut objects = Vec::new();
    match contents.listing {
        Some(StoredListing::File(listing)) => {
            backend.put_file(&layout::listing_key(hash), &listing, Durability::Later).await?;
        }
        Some(StoredListing::Memory(listing)) => objects.push((layout::listing_key(hash), listing)),
        None => {}
    }
    // A package's debug output has hundreds, and a bucket is far away.
    let links = stream::iter(debug_links(record, &contents.build_ids)).map(Ok);
    let put =
        |(key, link): (Key, Bytes)| async move { backend.put_bytes(&key, link, Durability::Later).await };
    links.try_for_each_concurrent(LINKS_AT_ONCE, put).await?;
    // Last, so that whoever reads the storage directly finds everything that belongs to the path.
    objects.push(narinfo(cache, record));
    backend.put_all(objects, Durability::Later).await?;
    Ok(())
}

/// The narinfo of a path as an object.
fn narinfo(cache: &Cache, record: &PathRecord) -> (Key, Bytes) {
    let text = Bytes::from(stored_narinfo(cache, record).to_string());
    (layout::narinfo_key(record.path.hash()), text)
}

/// Writes the narinfo and the listing of a path to a storage with a further copy of its NAR.
pub(super) async fn write_copy(
    cache: &Cache,
    record: &PathRecord,
    to: &CacheStorage,
) -> Result<(), PublishError> {
    let home = cache.storage(record.nar.storage).filter(|home| !home.liveness.is_lost());
    let listing = match home {
        Some(home) => read_listing(&home, record.path.hash()).await?,
        None => None,
    };
    write_description(cache, record, listing, to, Durability::Now).await?;
    Ok(())
}

/// Reads the listing of a path from a storage. `None` if there is none that can be copied.
///
/// # Errors
///
/// If the storage breaks off within it.
pub async fn read_listing(from: &CacheStorage, path: &StorePathHash) -> io::Result<Option<Bytes>> {
    match from.storage.open(&layout::listing_key(path), None, None).await {
        Ok(listing) if listing.total_size <= LISTING_LIMIT => Ok(Some(listing.into_bytes().await?)),
        _ => Ok(None),
    }
}

/// Writes the narinfo of a path, and before that its listing if it is given, to a storage with a further copy of its NAR. Returns what
/// was written.
pub async fn write_description(
    cache: &Cache,
    record: &PathRecord,
    listing: Option<Bytes>,
    to: &CacheStorage,
    durability: Durability,
) -> Result<Vec<Key>, StorageError> {
    let hash = record.path.hash();
    let listing = listing.map(|bytes| (layout::listing_key(hash), bytes));
    let mut written = Vec::new();
    for (key, bytes) in listing.into_iter().chain([narinfo(cache, record)]) {
        to.storage.put_bytes(&key, bytes, durability).await?;
        written.push(key);
    }
    Ok(written)
}

/// Writes the narinfo of a path, whose other files stay as they are.
pub(super) async fn write_narinfo(cache: &Cache, record: &PathRecord) -> Result<(), PublishError> {
    let storage = cache.storage(record.nar.storage).ok_or(PublishError::NoStorage)?;
    let (key, text) = narinfo(cache, record);
    storage.storage.put_bytes(&key, text, Durability::Later).await?;
    Ok(())
}

/// The files to make durable for a path. Debug links are not among them: losing one costs a debugger's convenience.
pub(super) fn published_keys(record: &PathRecord) -> [Key; 2] {
    let hash = record.path.hash();
    [layout::listing_key(hash), layout::narinfo_key(hash)]
}

fn debug_links(record: &PathRecord, build_ids: &[BuildId]) -> Vec<(Key, Bytes)> {
    let nar = nar_file_name(record);
    let link = |build_id: &BuildId| {
        let key = layout::debuginfo_key(&build_id.to_string()).ok()?;
        Some((key, debug_link(&nar, build_id)))
    };
    build_ids.iter().filter_map(link).collect()
}

/// Where the debug file with this build id is, in the format of Nix's `index-debug-info`.
fn debug_link(nar: &NarFileName, build_id: &BuildId) -> Bytes {
    let archive = format!("../{}", layout::nar_key(nar));
    Bytes::from(serde_json::json!({ "archive": archive, "member": build_id.member() }).to_string())
}

/// Removes a temporary file when it goes out of use; one that was moved away is gone already.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn read_stored(
    storage: &CacheStorage,
    record: &PathRecord,
) -> Result<(Contents, Temporary), PublishError> {
    let key = layout::nar_key(&nar_file_name(record));
    let compression = record.nar.compression;
    let temporary = Temporary(storage.storage.spool_dir().join(format!("listing-{}", Uuid::new_v4())));
    let storage = storage.storage.clone();
    tokio::task::spawn_blocking(move || {
        let nar = decoder(storage.open_blocking(&key)?, compression)?;
        Ok((contents::read(nar, || Ok(temporary.0.clone()))?, temporary))
    })
    .await
    .map_err(|_| PublishError::Interrupted)?
}
