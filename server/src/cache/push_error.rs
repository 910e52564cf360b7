//! What can go wrong with a push. The texts are for the client: they name what it sent, never what is inside here.

use catalog::CatalogError;
use nar_storage::{StorageError, is_unfit};

use super::keys::SignError;
use crate::chain::chain;
use crate::counters::labels::{LimitHit, PushRefusal};
use crate::limits::decoder_memory::DecodersBusy;

/// Why a push, or a step of one, was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No upload of this id in this cache: it never existed, was aborted, or took too long.
    #[error("no such upload: it ended, expired or never existed; start a new one")]
    UnknownUpload,
    /// Too many uploads are open.
    #[error("too many unfinished uploads; try again later")]
    TooManyUploads,
    /// The catalog cannot be written, so nothing that arrives now could count.
    #[error("the server cannot record uploads right now; try again later")]
    CatalogReadOnly,
    /// Too many uploads of one token are open.
    #[error("too many unfinished uploads with this auth token; complete or abort some, or try again later")]
    TooManyOfToken,
    /// Too many uploads to one cache are open.
    #[error("too many unfinished uploads to this cache; try again later")]
    TooManyOfCache,
    /// The token with which the upload began was revoked, or has expired.
    #[error("the auth token of this upload is not valid any more")]
    TokenEnded,
    /// The token has pushed as much as it may on one day.
    #[error("as much was pushed with this auth token as is allowed on one day; try again tomorrow (UTC)")]
    OverDailyLimit {
        /// Until the next day begins.
        seconds: u64,
    },
    /// Too many uploads are unpacked at once.
    #[error(transparent)]
    Busy(#[from] DecodersBusy),
    /// The part list of a `complete` does not fit what arrived.
    #[error("{0}")]
    Parts(String),
    /// The body does not have the announced MD5 or SHA-256.
    #[error("the body does not match the announced {0}")]
    Checksum(&'static str),
    /// The body ended early or stood still.
    #[error("the body did not arrive whole: {0}")]
    Body(String),
    /// Something the client announced is not what it uploaded.
    #[error("{what} mismatch: announced {announced}, uploaded {actual}")]
    Mismatch {
        /// Which property, e.g. `file hash`.
        what: &'static str,
        /// What the client said.
        announced: String,
        /// What the bytes are.
        actual: String,
    },
    /// The bytes are damaged or no NAR.
    #[error("{0}")]
    Corrupt(String),
    /// The NAR is larger than announced.
    #[error("{0}")]
    TooLarge(String),
    /// The description of the path is malformed.
    #[error("{0}")]
    Invalid(String),
    /// A narinfo whose NAR was never uploaded.
    #[error("the NAR {0} has not been uploaded to this cache; upload it before its narinfo")]
    NarMissing(String),
    /// A narinfo without its NAR for a path that is there, and is another build of it.
    #[error(
        "the cache has {0} with another NAR hash, NAR size or references; what was pushed first stays: delete the path \
         before you push another build of it"
    )]
    Contradiction(String),
    /// The path cannot be signed as this cache demands.
    #[error(transparent)]
    Signature(#[from] SignError),
    /// Every storage is full.
    #[error("every storage of this cache is full")]
    Full,
    /// The cache has reached its limit.
    #[error("this cache is as large as it may be")]
    CacheFull,
    /// No storage works. The log says why of each.
    #[error("no storage of this cache can take uploads right now; try again later")]
    StorageFailing,
    /// All storages are being drained.
    #[error("no storage of this cache takes uploads: all of them are being drained")]
    Draining,
    /// The disk has lost bytes of the upload, so it cannot be completed.
    #[error("the server's disk lost the upload; push the path again")]
    Lost,
    /// The spool or the local disk failed.
    #[error("the server could not store the upload")]
    Disk(#[source] std::io::Error),
    /// The catalog failed.
    #[error("the server could not record the upload")]
    Catalog(#[from] CatalogError),
    /// A task of ours died.
    #[error("the server failed to finish the upload")]
    Internal,
}

impl PushError {
    /// Whether room has to be made first.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full | Self::CacheFull)
    }

    /// Whether the same request can succeed later without the client sending any bytes again. Then the upload stays.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::TooManyUploads
            | Self::CatalogReadOnly
            | Self::TooManyOfToken
            | Self::TooManyOfCache
            | Self::Busy(_)
            | Self::Full
            | Self::CacheFull
            | Self::OverDailyLimit { .. }
            | Self::StorageFailing
            | Self::Draining
            | Self::Disk(_)
            | Self::Catalog(_)
            | Self::Internal => true,
            Self::UnknownUpload
            | Self::Lost
            | Self::TokenEnded
            | Self::Contradiction(_)
            | Self::Parts(_)
            | Self::Checksum(_)
            | Self::Body(_)
            | Self::Mismatch { .. }
            | Self::Corrupt(_)
            | Self::TooLarge(_)
            | Self::Invalid(_)
            | Self::NarMissing(_)
            | Self::Signature(_) => false,
        }
    }

    /// The cause under which it is counted.
    pub fn cause(&self) -> PushRefusal {
        match self {
            Self::UnknownUpload => PushRefusal::UnknownUpload,
            Self::TooManyUploads | Self::TooManyOfToken | Self::TooManyOfCache => PushRefusal::TooManyUploads,
            Self::CatalogReadOnly => PushRefusal::CatalogReadOnly,
            Self::TokenEnded => PushRefusal::TokenEnded,
            Self::OverDailyLimit { .. } => PushRefusal::OverDailyLimit,
            Self::Busy(_) => PushRefusal::Busy,
            Self::Parts(_) | Self::Invalid(_) => PushRefusal::Malformed,
            Self::Checksum(_) => PushRefusal::Checksum,
            Self::Body(_) => PushRefusal::Incomplete,
            Self::Mismatch { .. } => PushRefusal::Mismatch,
            Self::Corrupt(_) => PushRefusal::Corrupt,
            Self::TooLarge(_) => PushRefusal::TooLarge,
            Self::NarMissing(_) => PushRefusal::NarMissing,
            Self::Contradiction(_) => PushRefusal::Contradiction,
            Self::Signature(_) => PushRefusal::Signature,
            Self::Full => PushRefusal::Full,
            Self::CacheFull => PushRefusal::CacheFull,
            Self::StorageFailing => PushRefusal::StorageFailing,
            Self::Draining => PushRefusal::Draining,
            Self::Lost | Self::Disk(_) => PushRefusal::Disk,
            Self::Catalog(_) => PushRefusal::Catalog,
            Self::Internal => PushRefusal::Internal,
        }
    }

    /// The limit that the client ran into, if that is why.
    pub fn limit(&self) -> Option<LimitHit> {
        match self {
            Self::TooManyUploads => Some(LimitHit::Uploads),
            Self::TooManyOfToken => Some(LimitHit::UploadsOfToken),
            Self::TooManyOfCache => Some(LimitHit::UploadsOfCache),
            Self::OverDailyLimit { .. } => Some(LimitHit::TokenPerDay),
            Self::Busy(_) => Some(LimitHit::Decoders),
            _ => None,
        }
    }

    /// What a client is told of an object that no storage takes, whichever it is.
    pub fn unfit(error: &StorageError) -> Self {
        tracing::debug!(error = %chain(&error), "refused an object that the file system does not take");
        Self::TooLarge(
            "the file is larger, or its name longer, than the server's file system allows".to_owned(),
        )
    }
}

impl From<std::io::Error> for PushError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            // The upload was aborted while a part of it was still arriving.
            std::io::ErrorKind::ConnectionAborted => Self::UnknownUpload,
            _ if DecodersBusy::is_cause_of(&error) => Self::Busy(DecodersBusy),
            _ if is_unfit(&error) => {
                Self::TooLarge("the upload is larger than the server's file system allows".to_owned())
            }
            _ => match error.downcast::<Self>() {
                Ok(error) => error,
                // A disk that fails may be back later, or another one in its place.
                Err(error) if error.raw_os_error().is_some() => {
                    tracing::error!(error = %chain(&error), "an upload cannot be spooled");
                    Self::StorageFailing
                }
                Err(error) => Self::Disk(error),
            },
        }
    }
}

/// Runs work that blocks off the async threads.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PushError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| PushError::Internal)
}
