//! A flat binary cache in a bucket, as `nix copy --to s3://` writes it, or one of our own storages.

use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use nar_storage::{Blob, BlobBody, Key, S3Storage, Storage as _, StorageError, layout};
use nix_formats::{NarInfo, StorePathHash};
use url::Url;

use super::source::{Nar, SourceError, nar_name, parse_narinfo};
use crate::chain::chain;
use crate::config::UpstreamCredentials;
use crate::federation::Credentials;
use crate::jobs::transfer::bucket_settings;

pub(super) struct Bucket {
    storage: S3Storage,
}

impl Bucket {
    /// Opens the bucket at a URL. Its keys are those of the upstream that it is, or those that the URL names.
    pub(super) async fn open(url: &Url, credentials: &UpstreamCredentials) -> Result<Self, SourceError> {
        // Nothing is stored there, so nothing is spooled.
        let mut settings = bucket_settings(url, Path::new("")).await.map_err(SourceError::Unusable)?;
        let keys = Credentials::new(credentials, url.host_str().unwrap_or_default(), Arc::new([]));
        settings.credentials = keys.bucket_keys().await?.or(settings.credentials);
        Ok(Self { storage: S3Storage::new(settings).await })
    }

    pub(super) async fn list(&self) -> Result<Vec<StorePathHash>, SourceError> {
        let mut hashes = Vec::new();
        let mut listing = self.storage.list("");
        while let Some(object) = listing.next().await {
            let (key, _) = object.map_err(|error| SourceError::Unavailable(chain(&error)))?;
            let hash = key.as_str().strip_suffix(layout::NARINFO_SUFFIX);
            hashes.extend(hash.and_then(|hash| hash.parse::<StorePathHash>().ok()));
        }
        Ok(hashes)
    }

    pub(super) async fn narinfo(&self, hash: &StorePathHash) -> Result<NarInfo, SourceError> {
        let blob = self.open_object(&layout::narinfo_key(hash), "it").await?;
        let bytes = blob.into_bytes().await.map_err(|error| SourceError::Unavailable(error.to_string()))?;
        parse_narinfo(&bytes)
    }

    pub(super) async fn nar(&self, narinfo: &NarInfo) -> Result<Nar, SourceError> {
        let key = Key::new(&narinfo.url)
            .map_err(|_| SourceError::Unusable("its narinfo has a URL outside of the cache".to_owned()))?;
        let blob = self.open_object(&key, "its NAR").await?;
        Ok(Nar {
            size: Some(blob.len()),
            body: match blob.into_body() {
                BlobBody::Bytes(bytes) => stream::once(async { Ok(bytes) }).boxed(),
                BlobBody::Stream(pieces) => {
                    pieces.map(|piece| piece.map_err(|error| error.to_string())).boxed()
                }
            },
            compression: narinfo.compression,
            name: nar_name(narinfo),
        })
    }

    async fn open_object(&self, key: &Key, what: &'static str) -> Result<Blob, SourceError> {
        self.storage.open(key, None, None).await.map_err(|error| match error {
            error if error.is_not_found() => SourceError::Absent(what),
            error @ StorageError::Unavailable { .. } => SourceError::Unavailable(chain(&error)),
            error => SourceError::Unusable(chain(&error)),
        })
    }
}
