//! Where an export goes.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use nar_storage::Key;

use super::bucket::Bucket;
use super::directory::Directory;
use crate::core::Core;
use crate::jobs::transfer::Place;

/// A directory or a bucket.
pub(super) enum Target {
    Directory(Directory),
    Bucket(Box<Bucket>),
}

/// A file on its way to the target.
pub(super) type Contents<'a> = BoxStream<'a, Result<Bytes, String>>;

impl Target {
    /// Opens what an operator names. An error is a text for them.
    pub(super) async fn open(core: &Core, text: &str) -> Result<Self, String> {
        match Place::of(text)? {
            Place::Directory(root) => Ok(Self::Directory(Directory::new(root))),
            Place::Bucket(url) => Bucket::open(core, &url).await.map(Box::new).map(Self::Bucket),
            Place::Other => {
                Err("name a directory as file:///DIRECTORY, or a bucket as s3://BUCKET/PREFIX".to_owned())
            }
        }
    }

    /// Makes it a binary cache, if it is none. An error is a text for the operator.
    pub(super) async fn begin(&self, cache_info: &str) -> Result<(), String> {
        match self {
            Self::Directory(directory) => directory.begin(cache_info).await,
            Self::Bucket(bucket) => bucket.begin(cache_info).await,
        }
    }

    /// The size of a file that is there as a whole.
    pub(super) async fn size(&self, key: &Key) -> Result<Option<u64>, String> {
        match self {
            Self::Directory(directory) => directory.size(key).await,
            Self::Bucket(bucket) => bucket.size(key).await,
        }
    }

    /// The contents of a small file, if it is there.
    pub(super) async fn read(&self, key: &Key) -> Result<Option<Bytes>, String> {
        match self {
            Self::Directory(directory) => directory.read(key).await,
            Self::Bucket(bucket) => bucket.read(key).await,
        }
    }

    /// Writes a file. It appears as a whole and durably, or not at all.
    pub(super) async fn write(&self, key: &Key, contents: Contents<'_>) -> Result<(), String> {
        match self {
            Self::Directory(directory) => directory.write(key, contents).await,
            Self::Bucket(bucket) => bucket.write(key, contents).await,
        }
    }
}
