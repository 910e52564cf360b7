//! Where paths are imported from.
//!
//! Every source answers the same three questions: what it has, what a path is, and where the bytes of its NAR are. None of the
//! answers is trusted: they go through the same checks as a push.

use admin_api::ImportCredentials;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use nix_formats::{Compression, FileHash, NarFileName, NarInfo, StorePathHash};

use super::bucket::Bucket;
use super::credentials;
use super::directory::Directory;
use super::nix_store::NixStore;
use super::web::WebCache;
use crate::cache::Cache;
use crate::core::Core;
use crate::jobs::transfer::Place;

/// A source of paths.
pub(super) enum Source {
    /// `file://`: a flat binary cache in a directory of this machine.
    Directory(Directory),
    /// `s3://`: one in a bucket.
    Bucket(Box<Bucket>),
    /// `http://` and `https://`: one behind a web server, of whatever product.
    Web(Box<WebCache>),
    /// Anything else: a store that the `nix` command line knows.
    NixStore(NixStore),
}

/// Why a source is of no help.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    /// It does not have the path, or not its NAR.
    #[error("the source does not have {0}")]
    Absent(&'static str),
    /// What it says of the path cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// It does not answer.
    #[error("{0}")]
    Unavailable(String),
}

/// The file of a NAR, on its way here.
pub(super) struct Nar {
    /// Its bytes.
    pub body: BoxStream<'static, Result<Bytes, String>>,
    /// How many there are, where that is known.
    pub size: Option<u64>,
    /// How it is compressed.
    pub compression: Compression,
    /// Its name with its hash, where that is known.
    pub name: Option<NarFileName>,
}

impl Source {
    /// Opens what an operator names, with what it wants to see. `cache` takes the paths; the source may be an upstream of it.
    ///
    /// # Errors
    ///
    /// [`SourceError::Unusable`] if there is no such source, with a text for the operator.
    pub(super) async fn open(
        text: &str,
        core: &Core,
        cache: &Cache,
        given: &ImportCredentials,
    ) -> Result<Self, SourceError> {
        let credentials = credentials::resolve(given, text, cache)?;
        match Place::of(text).map_err(SourceError::Unusable)? {
            Place::Directory(root) => Directory::open(root).await.map(Self::Directory),
            Place::Bucket(url) => Bucket::open(&url, &credentials).await.map(Box::new).map(Self::Bucket),
            Place::Other if text.starts_with("http://") || text.starts_with("https://") => {
                WebCache::open(text, core, &credentials).await.map(Box::new).map(Self::Web)
            }
            Place::Other => NixStore::open(text).await.map(Self::NixStore),
        }
    }

    /// Lists all its paths; `None` if it is of a kind that has no list.
    pub(super) async fn list(&self) -> Result<Option<Vec<StorePathHash>>, SourceError> {
        match self {
            Self::Directory(directory) => directory.list().await.map(Some),
            Self::Bucket(bucket) => bucket.list().await.map(Some),
            Self::Web(_) => Ok(None),
            Self::NixStore(store) => store.list().await.map(Some),
        }
    }

    /// Describes a path.
    pub(super) async fn narinfo(&self, hash: &StorePathHash) -> Result<NarInfo, SourceError> {
        let narinfo = match self {
            Self::Directory(directory) => directory.narinfo(hash).await,
            Self::Bucket(bucket) => bucket.narinfo(hash).await,
            Self::Web(cache) => cache.narinfo(hash).await,
            Self::NixStore(store) => store.narinfo(hash).await,
        }?;
        if narinfo.store_path.hash() != hash {
            return Err(SourceError::Unusable("its narinfo is about another path".to_owned()));
        }
        Ok(narinfo)
    }

    /// Opens the NAR of a path.
    pub(super) async fn nar(&self, narinfo: &NarInfo) -> Result<Nar, SourceError> {
        match self {
            Self::Directory(directory) => directory.nar(narinfo).await,
            Self::Bucket(bucket) => bucket.nar(narinfo).await,
            Self::Web(cache) => cache.nar(narinfo).await,
            Self::NixStore(store) => store.nar(narinfo).await,
        }
    }
}

/// Reads a narinfo from its bytes.
pub(super) fn parse_narinfo(bytes: &[u8]) -> Result<NarInfo, SourceError> {
    let malformed = |reason: String| SourceError::Unusable(format!("its narinfo is malformed: {reason}"));
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not text".to_owned()))?;
    // Some writers leave the last line feed out.
    let text = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    NarInfo::parse(&text).map_err(|error| malformed(crate::chain::chain(&error)))
}

/// The name of a NAR file, if the narinfo has its hash. Names in URLs are of many kinds, so they are not looked at.
pub(super) fn nar_name(narinfo: &NarInfo) -> Option<NarFileName> {
    // Without compression the file is the NAR, however it is sent.
    let nar_hash = || FileHash::from_bytes(*narinfo.nar_hash.as_bytes());
    let file_hash = match narinfo.compression {
        Compression::None => Some(nar_hash()),
        _ => narinfo.file_hash,
    };
    file_hash.map(|file_hash| NarFileName { file_hash, compression: narinfo.compression })
}
