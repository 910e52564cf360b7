//! Listing the objects of a bucket.

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::list_objects_v2::{ListObjectsV2Error, ListObjectsV2Output};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::S3Storage;
use crate::{Context, Key, Operation, StorageError};

type Listed = Result<(Key, u64), StorageError>;

/// The position of a listing.
enum Position {
    Start,
    After(String),
    End,
}

impl S3Storage {
    /// Lists the objects whose key starts with `prefix` page by page.
    pub(super) fn list_objects(&self, prefix: &str) -> BoxStream<'_, Listed> {
        let prefix = format!("{}{prefix}", self.prefix);
        let pages = stream::unfold(Position::Start, move |position| {
            let prefix = prefix.clone();
            async move {
                let token = match position {
                    Position::Start => None,
                    Position::After(token) => Some(token),
                    Position::End => return None,
                };
                match self.list_page(prefix, token).await {
                    Ok((page, next)) => Some((page, next.map_or(Position::End, Position::After))),
                    Err(error) => Some((vec![Err(error)], Position::End)),
                }
            }
        });
        pages.flat_map(stream::iter).boxed()
    }

    /// Checks that a reply is a listing of the bucket: mistaking a foreign reply for an empty bucket would lose everything.
    pub(super) fn check_listing(
        &self,
        context: Context,
        answer: Result<ListObjectsV2Output, SdkError<ListObjectsV2Error>>,
    ) -> Result<ListObjectsV2Output, StorageError> {
        match answer {
            Ok(listing) if listing.name().is_some() => Ok(listing),
            Ok(_) => Err(self.foreign(context, "a listing that does not name the bucket")),
            Err(error) => Err(self.explain(context, &error)),
        }
    }

    /// Returns at most a thousand objects and the next position.
    async fn list_page(
        &self,
        prefix: String,
        token: Option<String>,
    ) -> Result<(Vec<Listed>, Option<String>), StorageError> {
        let list = self.clients.patient.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let page = list.set_continuation_token(token).send().await;
        let page = self.check_listing(self.context(Operation::List, None), page)?;
        let objects = page.contents.unwrap_or_default().into_iter().filter_map(|object| {
            // Names that are no keys are foreign objects.
            let key = Key::new(object.key?.strip_prefix(&self.prefix)?).ok()?;
            Some(Ok((key, u64::try_from(object.size?).ok()?)))
        });
        Ok((objects.collect(), page.next_continuation_token))
    }
}
