//! Asking the services that a configuration names whether they would do, for `check-config`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use catalog::StorageId;
use futures_util::future::join_all;
use nar_storage::ReadCache;

use super::{Backend, Place, open};
use crate::chain::chain;
use crate::config::{Config, StorageKind};

/// How long one of them may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is wrong with the buckets of the enabled caches: the key of the storage in the file, and what is wrong with it.
/// `directory` is for what is spooled meanwhile.
pub async fn check_buckets(config: &Config, directory: &Path) -> Vec<(String, String)> {
    let reads = ReadCache::new(1);
    let mut checks = Vec::new();
    for (i, cache) in config.caches.iter().enumerate().filter(|(_, cache)| cache.enabled) {
        for (j, storage) in cache.storages.iter().enumerate() {
            if let StorageKind::S3(s3) = &storage.kind {
                // A secret that cannot be read is reported by the check of the file.
                let place = Place { state_dir: directory, reads: &reads };
                let opened = open(StorageId(0), cache, storage, None, &place, None).await;
                if let Ok(backend) = opened {
                    checks.push(check(
                        format!("caches[{i}].storages[{j}].s3_bucket"),
                        s3.bucket.clone(),
                        backend,
                    ));
                }
            }
        }
    }
    join_all(checks).await.into_iter().flatten().collect()
}

async fn check(key: String, bucket: String, backend: Backend) -> Option<(String, String)> {
    let storage = Arc::clone(&backend.storage);
    let fault = match tokio::time::timeout(PATIENCE, storage.probe()).await {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("storage {}: bucket {bucket} does not answer", storage.name()),
    };
    Some((key, fault))
}
