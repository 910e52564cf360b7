//! A bucket as the target of an export.

use bytes::Bytes;
use nar_storage::{Durability, Key, S3Storage, Storage as _, layout};
use url::Url;
use uuid::Uuid;

use super::target::Contents;
use crate::chain::chain;
use crate::core::Core;
use crate::jobs::transfer::bucket_settings;
use crate::uploads::receive_to_file;

/// The largest file: what a bucket takes in one object.
const LARGEST: u64 = 5 << 40;

pub(super) struct Bucket {
    storage: S3Storage,
}

impl Bucket {
    pub(super) async fn open(core: &Core, url: &Url) -> Result<Self, String> {
        let spool = core.config().server.state_dir.join("export-spool");
        let settings = bucket_settings(url, &spool).await?;
        Ok(Self { storage: S3Storage::new(settings).await })
    }

    pub(super) async fn begin(&self, cache_info: &str) -> Result<(), String> {
        self.storage.prepare().await.map_err(|error| chain(&error))?;
        let key = layout::nix_cache_info_key();
        if self.size(&key).await?.is_some() {
            return Ok(());
        }
        let text = Bytes::copy_from_slice(cache_info.as_bytes());
        self.storage.put_bytes(&key, text, Durability::Now).await.map_err(|error| chain(&error))
    }

    pub(super) async fn size(&self, key: &Key) -> Result<Option<u64>, String> {
        self.storage.head(key).await.map_err(|error| chain(&error))
    }

    pub(super) async fn read(&self, key: &Key) -> Result<Option<Bytes>, String> {
        match self.storage.open(key, None, None).await {
            Ok(blob) => blob.into_bytes().await.map(Some).map_err(|error| error.to_string()),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(chain(&error)),
        }
    }

    /// By way of a file, because the length has to be known before the first byte and because a part may have to be sent again.
    pub(super) async fn write(&self, key: &Key, contents: Contents<'_>) -> Result<(), String> {
        let spooled = self.storage.spool_dir().join(Uuid::new_v4().to_string());
        let text = |error: &dyn std::error::Error| chain(error);
        let put = match receive_to_file(contents, spooled.clone(), LARGEST).await {
            Ok(_) => {
                self.storage.put_file(key, &spooled, Durability::Now).await.map_err(|error| text(&error))
            }
            Err(error) => Err(text(&error)),
        };
        if put.is_err() {
            // It may not be there, and the next export removes it otherwise.
            let _ = tokio::fs::remove_file(&spooled).await;
        }
        put
    }
}
