//! Small files that the catalog does not track: listings, logs, realisations, debug links. They may lie on any storage.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use nar_storage::{Blob, BlobBody, Durability, Key, StorageError};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::{CacheStorage, Storages};
use crate::cache::PushError;
use crate::chain::chain;

/// Why a small file could not be copied to another storage.
#[derive(Debug, thiserror::Error)]
pub enum CopySmallError {
    /// No storage takes it.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The other storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It could not be read, or spooled.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Storages {
    /// Opens a file from whichever storage has it. A storage that fails counts as not having it.
    pub async fn open_small(&self, key: &Key) -> Option<Blob> {
        for storage in &self.list {
            if !storage.can_be_read().await {
                continue;
            }
            let begun = Instant::now();
            match storage.storage.open(key, None, None).await {
                Ok(blob) => {
                    storage.was_read();
                    return Some(blob);
                }
                Err(error) if error.is_not_found() => storage.was_read(),
                Err(error) => {
                    let blame = storage.blame(&error, begun.elapsed()).await;
                    tracing::warn!(error = %chain(&error), ?blame, "could not read a file");
                }
            }
        }
        None
    }

    /// Stores what `blob` holds on a storage other than `from`.
    pub async fn copy_small(&self, key: &Key, blob: Blob, from: &CacheStorage) -> Result<(), CopySmallError> {
        let size = blob.len();
        let storage = self.choose(Some(size), &[from.name().into()])?;
        let spooled = storage.storage.spool_dir().join(format!("copy-{}", Uuid::new_v4()));
        let copied = write_to(&spooled, blob).await;
        if let Err(error) = copied {
            let _ = tokio::fs::remove_file(&spooled).await;
            return Err(error.into());
        }
        storage.storage.put_file(key, &spooled, Durability::Now).await?;
        Ok(())
    }

    /// Stores a spooled file on the first storage that takes it.
    pub async fn store_small_file(&self, key: &Key, size: u64, spooled: &Path) -> Result<(), PushError> {
        let mut tried = Vec::new();
        loop {
            let storage = self.choose(Some(size), &tried)?;
            match storage.storage.put_file(key, spooled, Durability::Now).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_unfit() => return Err(PushError::unfit(&error)),
                Err(error) => {
                    storage.failed(&error);
                    tried.push(storage.name().into());
                }
            }
        }
    }

    /// Stores a file on the first storage that takes it.
    pub async fn store_small(&self, key: &Key, contents: Bytes) -> Result<(), PushError> {
        let mut tried = Vec::new();
        loop {
            let storage = self.choose(Some(contents.len() as u64), &tried)?;
            match storage.storage.put_bytes(key, contents.clone(), Durability::Now).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_unfit() => return Err(PushError::unfit(&error)),
                Err(error) => {
                    storage.failed(&error);
                    tried.push(storage.name().into());
                }
            }
        }
    }
}

/// Writes a blob to a new file.
async fn write_to(path: &Path, blob: Blob) -> std::io::Result<()> {
    let mut file = tokio::fs::File::create_new(path).await?;
    match blob.into_body() {
        BlobBody::Bytes(bytes) => file.write_all(&bytes).await?,
        BlobBody::Stream(mut pieces) => {
            while let Some(piece) = pieces.next().await {
                file.write_all(&piece?).await?;
            }
        }
    }
    file.flush().await
}
