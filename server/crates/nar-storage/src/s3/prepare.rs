//! Preparing and probing a bucket, and removal of abandoned uploads.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::MultipartUpload;
use bytes::Bytes;

use super::{S3Storage, multipart};
use crate::{Context, Operation, StorageError, spool};

/// The object that a probe writes and deletes. No [`Key`](crate::Key) starts with a dot.
const PROBE: &str = ".probe";

impl S3Storage {
    pub(super) async fn claim_spool(&self) -> Result<(), StorageError> {
        let claim = async || {
            let (directory, name) = (self.spool_dir.clone(), self.name.clone());
            let claim = move || {
                spool::create(&directory)?;
                spool::claim(&directory, &name).map(Arc::new)
            };
            self.blocking(self.context(Operation::Prepare, None), claim).await
        };
        self.spool.get_or_try_init(claim).await.map(|_| ())
    }

    /// Checks that the bucket exists and can be listed.
    pub(super) async fn check_bucket(&self, client: &Client, context: Context) -> Result<(), StorageError> {
        // Not `HeadBucket`: a reply without a body does not explain an error.
        let list = client.list_objects_v2().bucket(&self.bucket).prefix(&self.prefix).max_keys(1);
        let answer = list.send().await;
        self.check_listing(context, answer).map(|_| ())
    }

    /// Checks that objects can be listed, written and deleted.
    pub(super) async fn try_out(&self) -> Result<(), StorageError> {
        let context = self.context(Operation::Probe, None);
        self.check_bucket(self.clients.trial(), context.clone()).await?;
        let object = format!("{}{PROBE}", self.prefix);
        let body = Bytes::from_static(b"probe").into();
        let put = self.clients.quick.put_object().bucket(&self.bucket).key(&object).body(body);
        let answer = put.send().await.map_err(|error| self.explain(context.clone(), &error))?;
        if answer.e_tag().is_none() {
            return Err(self.foreign(context, "a new object without an ETag"));
        }
        let delete = self.clients.quick.delete_object().bucket(&self.bucket).key(&object);
        delete.send().await.map_err(|error| self.explain(context, &error))?;
        Ok(())
    }

    /// Aborts unfinished multipart uploads that no daemon can be working on any more, which a killed daemon or an outage left. They are
    /// invisible but cost money. A service that does not support listing them is still usable.
    ///
    /// Does nothing if the last call was recent.
    pub(super) async fn remove_abandoned_uploads(&self) {
        if !self.is_time_to_sweep() {
            return;
        }
        let uploads = match self.find_abandoned_uploads().await {
            Ok(uploads) => uploads,
            Err(error) => {
                tracing::warn!(%error, "cannot look for unfinished uploads");
                return;
            }
        };
        let mut removed = 0_u64;
        for upload in &uploads {
            let (Some(object), Some(id)) = (upload.key(), upload.upload_id()) else { continue };
            if !multipart::abort(&self.clients.patient, &self.name, &self.bucket, object, id).await {
                break;
            }
            removed += 1;
        }
        if removed > 0 {
            tracing::info!(storage = %self.name, removed, "removed unfinished uploads");
        }
    }

    /// Returns whether a new search is due, and records it.
    fn is_time_to_sweep(&self) -> bool {
        let mut swept = self.swept.lock();
        let is_time = swept.is_none_or(|swept| swept.elapsed() >= self.abandoned_after);
        if is_time {
            *swept = Some(Instant::now());
        }
        is_time
    }

    /// Returns the first thousand uploads. The others wait for the next search.
    async fn find_abandoned_uploads(&self) -> Result<Vec<MultipartUpload>, StorageError> {
        let list = self.clients.patient.list_multipart_uploads().bucket(&self.bucket).prefix(&self.prefix);
        let answer = list
            .send()
            .await
            .map_err(|error| self.explain(self.context(Operation::Prepare, None), &error))?;
        let newest = SystemTime::now().checked_sub(self.abandoned_after).map(DateTime::from);
        let is_abandoned = |upload: &MultipartUpload| {
            // Skips foreign uploads, because some services ignore the prefix.
            let ours = upload.key().is_some_and(|object| object.starts_with(&self.prefix));
            ours && upload.initiated().is_some_and(|begun| Some(*begun) <= newest)
        };
        let mut uploads = answer.uploads.unwrap_or_default();
        uploads.retain(is_abandoned);
        Ok(uploads)
    }
}
