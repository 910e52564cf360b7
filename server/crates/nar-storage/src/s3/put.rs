//! Storing objects.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, Length, SdkBody};

use super::S3Storage;
use super::parts::PART;
use super::progress::Progress;
use crate::{Context, Key, Operation, StorageError, spool};

/// How long an upload may stall without an accepted byte or a reply. Services take seconds to process a part on a slow disk.
const PATIENCE: Duration = Duration::from_secs(15);

impl S3Storage {
    /// Stores the file at `spooled` and removes it from the spool.
    pub(super) async fn upload_file(&self, key: &Key, spooled: &Path) -> Result<(), StorageError> {
        let context = self.context(Operation::Put, Some(key));
        let path = spooled.to_owned();
        let len = move || Ok(spool::open(&path)?.metadata()?.len());
        let len = self.blocking(context.clone(), len).await?;
        if len <= PART {
            let body = file_body(&context, spooled, 0..len).await?;
            self.upload(context.clone(), &self.object(key), body).await?;
        } else {
            self.upload_parts(&context, &self.object(key), spooled, len).await?;
        }
        let path = spooled.to_owned();
        // The object is stored. A file that stays in the spool is removed as an orphan.
        let _ = self.blocking(context, move || fs::remove_file(path)).await;
        Ok(())
    }

    /// Stores `body` in a single request.
    pub(super) async fn upload(
        &self,
        context: Context,
        object: &str,
        body: SdkBody,
    ) -> Result<(), StorageError> {
        let progress = Progress::new();
        let body = ByteStream::new(progress.watch(body));
        let put = self.clients.upload.put_object().bucket(&self.bucket).key(object).body(body);
        let answer = self.watch(&context, &progress, put.send()).await?;
        if answer.e_tag().is_none() {
            return Err(self.foreign(context, "a new object without an ETag"));
        }
        Ok(())
    }

    /// Waits for a request as long as it makes `progress`.
    pub(super) async fn watch<T, E>(
        &self,
        context: &Context,
        progress: &Progress,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, StorageError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match progress.run(PATIENCE, request).await {
            Ok(done) => done.map_err(|error| self.explain(context.clone(), &error)),
            Err(_) => {
                let reason = format!("an upload has stood still for {} s", PATIENCE.as_secs());
                Err(self.unavailable(context.clone(), &reason))
            }
        }
    }
}

/// Returns a part of a file as a retryable body, which holds 64 KiB at a time.
pub(super) async fn file_body(
    context: &Context,
    path: &Path,
    part: Range<u64>,
) -> Result<SdkBody, StorageError> {
    let file =
        ByteStream::read_from().path(path).offset(part.start).length(Length::Exact(part.end - part.start));
    match file.build().await {
        Ok(body) => Ok(body.into_inner()),
        Err(error) => Err(StorageError::Io { context: context.clone(), cause: io::Error::other(error) }),
    }
}
