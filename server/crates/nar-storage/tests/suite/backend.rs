//! Storages to run the scenarios on.

use std::{fs, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use nar_storage::{Key, LocalStorage, ReadCache, Storage, testing::FaultyStorage};
use tempfile::TempDir;

/// A fresh storage, and ways to change its objects behind its back.
#[async_trait]
pub trait Backend: Send + Sync {
    fn storage(&self) -> &Arc<dyn Storage>;
    fn remove(&self, key: &Key);
    fn replace(&self, key: &Key, bytes: &[u8]);
    fn truncate(&self, key: &Key, size: u64);
    /// The same storage after the daemon was killed and started again.
    async fn restarted(&mut self);
}

pub struct LocalBackend {
    pub storage: Arc<dyn Storage>,
    pub directory: TempDir,
}

impl LocalBackend {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = open_local(directory.path().join("disk/main")).await;
        Self { storage, directory }
    }

    pub fn root(&self) -> PathBuf {
        self.directory.path().join("disk/main")
    }

    pub fn path(&self, key: &Key) -> PathBuf {
        self.root().join(key.as_str())
    }
}

pub async fn open_local(root: PathBuf) -> Arc<dyn Storage> {
    let storage = LocalStorage::new("disk1", root, &ReadCache::new(64));
    storage.prepare().await.unwrap();
    Arc::new(storage)
}

#[async_trait]
impl Backend for LocalBackend {
    fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    fn remove(&self, key: &Key) {
        fs::remove_file(self.path(key)).unwrap();
    }

    fn replace(&self, key: &Key, bytes: &[u8]) {
        let new = self.directory.path().join("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, self.path(key)).unwrap();
    }

    fn truncate(&self, key: &Key, size: u64) {
        fs::File::options().write(true).open(self.path(key)).unwrap().set_len(size).unwrap();
    }

    async fn restarted(&mut self) {
        // The first one has to go before the second one comes.
        self.storage = Arc::new(LocalStorage::new("none", PathBuf::new(), &ReadCache::new(1)));
        self.storage = open_local(self.root()).await;
    }
}

/// The wrapper without a fault changes nothing.
pub struct WrappedBackend {
    inner: LocalBackend,
    storage: Arc<dyn Storage>,
}

impl WrappedBackend {
    pub async fn new() -> Self {
        let inner = LocalBackend::new().await;
        let storage = Arc::new(FaultyStorage::new(Arc::clone(&inner.storage)));
        Self { inner, storage }
    }
}

#[async_trait]
impl Backend for WrappedBackend {
    fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    fn remove(&self, key: &Key) {
        self.inner.remove(key);
    }

    fn replace(&self, key: &Key, bytes: &[u8]) {
        self.inner.replace(key, bytes);
    }

    fn truncate(&self, key: &Key, size: u64) {
        self.inner.truncate(key, size);
    }

    async fn restarted(&mut self) {
        self.storage = Arc::new(LocalStorage::new("none", PathBuf::new(), &ReadCache::new(1)));
        self.inner.restarted().await;
        self.storage = Arc::new(FaultyStorage::new(Arc::clone(&self.inner.storage)));
    }
}
