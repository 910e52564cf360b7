//! Reading objects.

use std::io;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::presigning::PresigningConfig;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::S3Storage;
use super::body::BodyStream;
use super::explain::Failure;
use crate::{Blob, BlobBody, Context, Key, Operation, StorageError};

/// How long a body may stall while a reader waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest body in bytes that is returned in one piece.
const SMALL: u64 = 256 << 10;
/// How long to wait for the rest of a small body to return it in one piece.
const COLLECT: Duration = Duration::from_millis(100);

impl S3Storage {
    /// Opens an object for reading and waits for the first bytes.
    pub(super) async fn read(
        &self,
        context: Context,
        key: &Key,
        expected_size: Option<u64>,
        range: Option<Range<u64>>,
    ) -> Result<Blob, StorageError> {
        if let Some(range) = range.as_ref().filter(|range| range.is_empty()) {
            return self.read_nothing(context, key, expected_size, range.clone()).await;
        }
        let mut get = self.clients.quick.get_object().bucket(&self.bucket).key(self.object(key));
        if let Some(range) = &range {
            // Services fail on values beyond signed integers. No object is that large.
            let last = (range.end - 1).min(i64::MAX as u64);
            get = get.range(format!("bytes={}-{last}", range.start));
        }
        match get.send().await {
            Ok(answer) => self.blob(context, answer, expected_size, range).await,
            Err(error) => match (Failure::new(&error), range) {
                (Failure::BeyondEnd, Some(range)) => {
                    self.read_nothing(context, key, expected_size, range).await
                }
                (Failure::NotFoundOrNoBucket, _) => {
                    self.check_bucket(&self.clients.quick, context.clone()).await?;
                    Err(StorageError::NotFound { context })
                }
                (failure, _) => Err(failure.into_error(context, &self.place)),
            },
        }
    }

    /// Handles a range that is empty or beyond the end, which no request can express.
    async fn read_nothing(
        &self,
        context: Context,
        key: &Key,
        expected_size: Option<u64>,
        range: Range<u64>,
    ) -> Result<Blob, StorageError> {
        let Some(size) = self.size(context.clone(), key).await? else {
            return Err(StorageError::NotFound { context });
        };
        check(&context, size, expected_size, &range)?;
        if range.is_empty() {
            return Ok(Blob::from_bytes(size, range, Bytes::new()));
        }
        // The object has grown since the range was beyond its end.
        Err(self.unavailable(context, "the object changes while it is read"))
    }

    /// Checks the reply against the request.
    async fn blob(
        &self,
        context: Context,
        answer: GetObjectOutput,
        expected_size: Option<u64>,
        wanted: Option<Range<u64>>,
    ) -> Result<Blob, StorageError> {
        let foreign = |answer: &str| self.foreign(context.clone(), answer);
        if answer.e_tag().is_none() {
            return Err(foreign("an object without an ETag"));
        }
        let Some(len) = answer.content_length().and_then(|len| u64::try_from(len).ok()) else {
            return Err(foreign("an object without a length"));
        };
        let (size, range) = match (wanted, answer.content_range().map(parse_content_range)) {
            (None, None) => (len, 0..len),
            (Some(wanted), Some(Some((sent, size)))) => {
                check(&context, size, expected_size, &wanted)?;
                if sent != wanted || len != wanted.end - wanted.start {
                    return Err(foreign("other bytes than were asked for"));
                }
                (size, wanted)
            }
            _ => return Err(foreign("other bytes than were asked for")),
        };
        check(&context, size, expected_size, &range)?;
        let pieces = BodyStream::new(answer.body.into_inner(), PATIENCE);
        let begun = begin(Blob::from_stream(size, range, pieces)).await;
        begun.map_err(|error| self.unavailable(context, &format!("it breaks off: {error}")))
    }

    /// Returns the size of an object in bytes, `None` if it does not exist.
    pub(super) async fn size(&self, context: Context, key: &Key) -> Result<Option<u64>, StorageError> {
        let head = self.clients.quick.head_object().bucket(&self.bucket).key(self.object(key));
        match head.send().await {
            Ok(answer) => match answer.content_length().and_then(|len| u64::try_from(len).ok()) {
                Some(size) if answer.e_tag().is_some() => Ok(Some(size)),
                _ => Err(self.foreign(context, "an object without a length or an ETag")),
            },
            Err(error) => match Failure::new(&error) {
                Failure::NoSuchKey => Ok(None),
                Failure::NotFoundOrNoBucket => {
                    self.check_bucket(&self.clients.quick, context).await.map(|()| None)
                }
                failure => Err(failure.into_error(context, &self.place)),
            },
        }
    }

    /// Returns a URL from which anybody can read the object until it expires.
    pub(super) async fn presign(&self, key: &Key, expires: Duration) -> Result<String, StorageError> {
        let context = self.context(Operation::Open, Some(key));
        let config = PresigningConfig::expires_in(expires)
            .map_err(|error| StorageError::Io { context: context.clone(), cause: io::Error::other(error) })?;
        let get = self.clients.quick.get_object().bucket(&self.bucket).key(self.object(key));
        let request = get.presigned(config).await.map_err(|error| self.explain(context, &error))?;
        Ok(request.uri().to_owned())
    }
}

fn check(
    context: &Context,
    size: u64,
    expected_size: Option<u64>,
    range: &Range<u64>,
) -> Result<(), StorageError> {
    if let Some(expected) = expected_size.filter(|expected| *expected != size) {
        return Err(StorageError::SizeMismatch { context: context.clone(), expected, actual: size });
    }
    if range.start > range.end || range.end > size {
        return Err(StorageError::InvalidRange { context: context.clone(), range: range.clone(), size });
    }
    Ok(())
}

/// Parses `bytes 2-4/9` as `(2..5, 9)`.
fn parse_content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?, size.parse().ok()?))
}

/// Returns the blob after its first piece has arrived, so that no reader waits in vain for promised bytes. A small blob is returned
/// in one piece if the rest arrives soon.
async fn begin(blob: Blob) -> io::Result<Blob> {
    let (size, range, len) = (blob.total_size, blob.range.clone(), blob.len());
    let mut pieces = match blob.into_body() {
        BlobBody::Stream(pieces) => pieces,
        BlobBody::Bytes(bytes) => return Ok(Blob::from_bytes(size, range, bytes)),
    };
    let first = pieces.next().await.transpose()?.unwrap_or_default();
    let mut begun = BytesMut::from(first);
    let deadline = Instant::now() + COLLECT;
    while len <= SMALL && (begun.len() as u64) < len {
        match timeout_at(deadline, pieces.next()).await {
            Ok(Some(piece)) => begun.extend_from_slice(&piece?),
            Ok(None) | Err(_) => break,
        }
    }
    let begun = begun.freeze();
    if begun.len() as u64 == len {
        return Ok(Blob::from_bytes(size, range, begun));
    }
    Ok(Blob::from_stream(size, range, stream::iter([Ok(begun)]).chain(pieces)))
}
