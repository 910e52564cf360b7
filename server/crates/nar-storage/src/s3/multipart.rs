//! Storing large files in parts.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::S3Storage;
use super::explain::Failure;
use super::parts::parts;
use super::progress::Progress;
use super::put::file_body;
use crate::{Context, StorageError};

/// The most parts of one file that are sent at a time.
const CONCURRENT: usize = 4;
/// How long the service may take to put the parts together. AWS takes minutes for the largest objects.
const COMPLETE: Duration = Duration::from_secs(180);

impl S3Storage {
    /// Stores the `len` bytes of the file at `path`, completely or not at all.
    pub(super) async fn upload_parts(
        &self,
        context: &Context,
        object: &str,
        path: &Path,
        len: u64,
    ) -> Result<(), StorageError> {
        let upload = self.begin(context, object).await?;
        let sent = (1..).zip(parts(len)).map(|(number, part)| upload.send(self, context, path, number, part));
        let mut sent: Vec<_> = stream::iter(sent).buffer_unordered(CONCURRENT).try_collect().await?;
        sent.sort_unstable_by_key(CompletedPart::part_number);
        upload.complete(self, context, sent).await
    }

    async fn begin(&self, context: &Context, object: &str) -> Result<Upload, StorageError> {
        let client = self.clients.patient.clone();
        let create = client.create_multipart_upload().bucket(&self.bucket).key(object);
        let (storage, runtime) = (self.name.clone(), self.runtime.clone());
        let (bucket, object) = (self.bucket.clone(), object.to_owned());
        // In a task of its own: if the caller is dropped, the upload exists all the same and must be aborted as soon as its id is
        // known.
        let begin = self.runtime.spawn(async move {
            let id = create.send().await?.upload_id;
            let upload = |id| Upload { storage, bucket, object, id, finished: false, client, runtime };
            Ok::<_, SdkError<_, _>>(id.map(upload))
        });
        let begun = begin
            .await
            .map_err(|error| StorageError::Io { context: context.clone(), cause: io::Error::other(error) })?;
        match begun {
            Ok(Some(upload)) => Ok(upload),
            Ok(None) => Err(self.foreign(context.clone(), "an upload without an id")),
            Err(error) => Err(self.explain(context.clone(), &error)),
        }
    }
}

/// A multipart upload, which is aborted unless it is completed.
struct Upload {
    storage: Arc<str>,
    bucket: String,
    object: String,
    id: String,
    finished: bool,
    client: Client,
    runtime: Handle,
}

impl Upload {
    async fn send(
        &self,
        storage: &S3Storage,
        context: &Context,
        path: &Path,
        number: i32,
        part: Range<u64>,
    ) -> Result<CompletedPart, StorageError> {
        let progress = Progress::new();
        let body = progress.watch(file_body(context, path, part).await?);
        let request = storage.clients.upload.upload_part().bucket(&self.bucket).key(&self.object);
        let request = request.upload_id(&self.id).part_number(number).body(body.into());
        let answer = storage.watch(context, &progress, request.send()).await?;
        match answer.e_tag {
            Some(tag) => Ok(CompletedPart::builder().part_number(number).e_tag(tag).build()),
            None => Err(storage.foreign(context.clone(), "a part without an ETag")),
        }
    }

    async fn complete(
        mut self,
        storage: &S3Storage,
        context: &Context,
        parts: Vec<CompletedPart>,
    ) -> Result<(), StorageError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete =
            storage.clients.upload.complete_multipart_upload().bucket(&self.bucket).key(&self.object);
        let complete = complete.upload_id(&self.id).multipart_upload(parts);
        match timeout(COMPLETE, complete.send()).await {
            Ok(Ok(answer)) if answer.e_tag().is_some() => {
                self.finished = true;
                Ok(())
            }
            Ok(Ok(_)) => Err(storage.foreign(context.clone(), "a new object without an ETag")),
            Ok(Err(error)) => Err(storage.explain(context.clone(), &error)),
            Err(_) => Err(storage.unavailable(context.clone(), "it does not put the parts together in time")),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // In the background, because the caller tries another storage or was dropped.
        let (client, storage) = (self.client.clone(), self.storage.clone());
        let (bucket, object, id) =
            (self.bucket.clone(), std::mem::take(&mut self.object), std::mem::take(&mut self.id));
        self.runtime.spawn(async move { abort(&client, &storage, &bucket, &object, &id).await });
    }
}

/// Aborts an upload, removes its parts, and returns whether that worked. [Abandoned
/// uploads](S3Storage::remove_abandoned_uploads) are removed later.
pub(super) async fn abort(client: &Client, storage: &str, bucket: &str, object: &str, id: &str) -> bool {
    let abort = client.abort_multipart_upload().bucket(bucket).key(object).upload_id(id);
    match abort.send().await {
        Err(error) if error.code() != Some("NoSuchUpload") => {
            let failure = Failure::new(&error);
            tracing::warn!(storage, object, ?failure, "cannot abort an upload");
            false
        }
        _ => true,
    }
}
