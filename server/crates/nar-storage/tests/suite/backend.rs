//! Storages to run the scenarios on.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use nar_storage::testing::FaultyStorage;
use nar_storage::{Key, LocalStorage, ReadCache, S3Credentials, S3Settings, S3Storage, Storage};
use tempfile::TempDir;

use crate::bucket::Bucket;
use crate::garage::{self, Garage};

/// A fresh storage, and ways to change its objects behind its back.
#[async_trait]
pub trait Backend: Send + Sync {
    fn storage(&self) -> &Arc<dyn Storage>;
    async fn remove(&self, key: &Key);
    async fn replace(&self, key: &Key, bytes: &[u8]);
    async fn truncate(&self, key: &Key, size: u64);
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

/// Stands in for a storage that has to go before its successor comes.
fn nothing() -> Arc<dyn Storage> {
    Arc::new(LocalStorage::new("none", PathBuf::new(), &ReadCache::new(1)))
}

#[async_trait]
impl Backend for LocalBackend {
    fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    async fn remove(&self, key: &Key) {
        fs::remove_file(self.path(key)).unwrap();
    }

    async fn replace(&self, key: &Key, bytes: &[u8]) {
        let new = self.directory.path().join("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, self.path(key)).unwrap();
    }

    async fn truncate(&self, key: &Key, size: u64) {
        fs::File::options().write(true).open(self.path(key)).unwrap().set_len(size).unwrap();
    }

    async fn restarted(&mut self) {
        self.storage = nothing();
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
        let storage = Arc::new(FaultyStorage::new(inner.storage.clone()));
        Self { inner, storage }
    }
}

#[async_trait]
impl Backend for WrappedBackend {
    fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    async fn remove(&self, key: &Key) {
        self.inner.remove(key).await;
    }

    async fn replace(&self, key: &Key, bytes: &[u8]) {
        self.inner.replace(key, bytes).await;
    }

    async fn truncate(&self, key: &Key, size: u64) {
        self.inner.truncate(key, size).await;
    }

    async fn restarted(&mut self) {
        self.storage = nothing();
        self.inner.restarted().await;
        self.storage = Arc::new(FaultyStorage::new(self.inner.storage.clone()));
    }
}

/// A bucket of a real server.
pub struct S3Backend {
    pub storage: Arc<dyn Storage>,
    pub garage: Garage,
    pub bucket: Bucket,
    pub directory: TempDir,
}

impl S3Backend {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let garage = tokio::task::spawn_blocking(Garage::start).await.unwrap();
        let bucket = Bucket::new(&garage.endpoint());
        let storage = open_s3(settings(&garage.endpoint(), &directory)).await;
        Self { storage, garage, bucket, directory }
    }
}

/// How the bucket of a [`Garage`] is reached.
pub fn settings(endpoint: &str, directory: &TempDir) -> S3Settings {
    S3Settings {
        name: "cloud".to_owned(),
        bucket: garage::BUCKET.to_owned(),
        prefix: "root/main".to_owned(),
        region: garage::REGION.to_owned(),
        endpoint: Some(endpoint.to_owned()),
        force_path_style: true,
        credentials: Some(S3Credentials {
            access_key: garage::ACCESS_KEY.to_owned(),
            secret_key: garage::SECRET_KEY.to_owned(),
        }),
        profile: None,
        spool_dir: directory.path().join("spool/main"),
        redirect: false,
        abandoned_after: S3Settings::ABANDONED_AFTER,
    }
}

pub async fn open_s3(settings: S3Settings) -> Arc<dyn Storage> {
    let storage = S3Storage::new(settings).await;
    storage.prepare().await.unwrap();
    Arc::new(storage)
}

#[async_trait]
impl Backend for S3Backend {
    fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    async fn remove(&self, key: &Key) {
        self.bucket.delete(&format!("root/main/{key}")).await;
    }

    async fn replace(&self, key: &Key, bytes: &[u8]) {
        self.bucket.put(&format!("root/main/{key}"), bytes.to_vec()).await;
    }

    async fn truncate(&self, key: &Key, size: u64) {
        // Objects are not changed, only replaced.
        self.replace(key, &vec![0; usize::try_from(size).unwrap()]).await;
    }

    async fn restarted(&mut self) {
        self.storage = nothing();
        self.storage = open_s3(settings(&self.garage.endpoint(), &self.directory)).await;
    }
}
