//! A storage that counts the bytes of its by-products: all objects but the NAR files, of which the catalog knows the sizes,
//! and the narinfos, of which each path has one.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{Blob, Context, Durability, FileObject, Key, Operation, Storage, StorageError, Usage, layout};

/// What is told by how many bytes the by-products have grown or shrunk.
type Told = Box<dyn Fn(i64) + Send + Sync>;

/// Tells by how many bytes the by-products of another storage have grown or shrunk.
pub struct Counted {
    inner: Arc<dyn Storage>,
    looks: bool,
    told: Told,
}

impl Counted {
    /// Tells `told` of every change of `inner`.
    ///
    /// Looks at the size of what is replaced only if `looks` is set, as that takes a request. Without it an object that is
    /// stored again counts twice until the next fsck.
    pub fn new(inner: Arc<dyn Storage>, looks: bool, told: impl Fn(i64) + Send + Sync + 'static) -> Self {
        Self { inner, looks, told: Box::new(told) }
    }

    /// The size of what a put is about to replace, as far as it counts.
    async fn replaced(&self, key: &Key) -> u64 {
        if !self.looks {
            return 0;
        }
        self.inner.head(key).await.ok().flatten().unwrap_or(0)
    }

    fn tell(&self, added: u64, removed: u64) {
        let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        (self.told)(bytes(added).saturating_sub(bytes(removed)));
    }
}

#[async_trait]
impl Storage for Counted {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn spool_dir(&self) -> &Path {
        self.inner.spool_dir()
    }

    async fn prepare(&self) -> Result<(), StorageError> {
        self.inner.prepare().await
    }

    async fn put_file(&self, key: &Key, spooled: &Path, durability: Durability) -> Result<(), StorageError> {
        if !layout::is_by_product(key) {
            return self.inner.put_file(key, spooled, durability).await;
        }
        let spooled_file = tokio::fs::metadata(spooled).await.map_err(|cause| StorageError::Spool {
            context: Context {
                storage: self.name().into(),
                operation: Operation::Put,
                key: Some(key.clone()),
            },
            cause,
        })?;
        let replaced = self.replaced(key).await;
        self.inner.put_file(key, spooled, durability).await?;
        self.tell(spooled_file.len(), replaced);
        Ok(())
    }

    async fn put_bytes(&self, key: &Key, bytes: Bytes, durability: Durability) -> Result<(), StorageError> {
        if !layout::is_by_product(key) {
            return self.inner.put_bytes(key, bytes, durability).await;
        }
        let (size, replaced) = (bytes.len() as u64, self.replaced(key).await);
        self.inner.put_bytes(key, bytes, durability).await?;
        self.tell(size, replaced);
        Ok(())
    }

    async fn put_all(
        &self,
        objects: Vec<(Key, Bytes)>,
        durability: Durability,
    ) -> Result<Vec<u64>, StorageError> {
        if !self.looks {
            for (key, bytes) in &objects {
                self.put_bytes(key, bytes.clone(), durability).await?;
            }
            return Ok(vec![0; objects.len()]);
        }
        let sizes: Vec<_> =
            objects.iter().map(|(key, bytes)| (layout::is_by_product(key), bytes.len() as u64)).collect();
        let replaced = self.inner.put_all(objects, durability).await?;
        for ((is_by_product, size), replaced) in sizes.into_iter().zip(&replaced) {
            if is_by_product {
                self.tell(size, *replaced);
            }
        }
        Ok(replaced)
    }

    async fn sync(&self, keys: &[Key]) -> Result<(), StorageError> {
        self.inner.sync(keys).await
    }

    async fn open(
        &self,
        key: &Key,
        expected_size: Option<u64>,
        range: Option<Range<u64>>,
    ) -> Result<Blob, StorageError> {
        self.inner.open(key, expected_size, range).await
    }

    fn open_now(&self, key: &Key, size: u64) -> Option<FileObject> {
        self.inner.open_now(key, size)
    }

    fn open_blocking(&self, key: &Key) -> Result<Box<dyn std::io::Read + Send>, StorageError> {
        self.inner.open_blocking(key)
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, StorageError> {
        self.inner.head(key).await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StorageError> {
        if !layout::is_by_product(key) {
            return self.inner.delete(key).await;
        }
        let size = self.inner.head(key).await?.unwrap_or(0);
        let existed = self.inner.delete(key).await?;
        if existed {
            self.tell(0, size);
        }
        Ok(existed)
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<(Key, u64), StorageError>> {
        self.inner.list(prefix)
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        self.inner.usage().await
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.inner.probe().await
    }

    async fn presign_get(&self, key: &Key, expires: Duration) -> Result<Option<String>, StorageError> {
        self.inner.presign_get(key, expires).await
    }
}

#[cfg(test)]
mod tests;
