use http::Method;
use serde::{Deserialize, Serialize};

use crate::Endpoint;

/// Lists the unfinished uploads of the daemon, the one that was idle for the longest time first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListUploads {}

impl Endpoint for ListUploads {
    type Reply = Vec<UploadInfo>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/uploads";
}

/// Ends an unfinished upload and removes its bytes. Its client has to begin again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortUpload {
    /// [`UploadInfo::id`] of the upload.
    pub upload: String,
}

impl Endpoint for AbortUpload {
    type Reply = UploadInfo;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/uploads/{upload}/abort";
}

/// An upload between its creation and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadInfo {
    /// The id under which the upload can be aborted.
    pub id: String,
    /// The name of the cache that it goes to.
    pub cache: String,
    /// The id of the token that it was begun with; `None` if that is unknown, as after a restart of the daemon.
    pub token: Option<String>,
    /// [`TokenInfo::subject`](crate::TokenInfo::subject) of that token.
    pub subject: Option<String>,
    /// The bytes that have arrived and take room on the disk.
    pub bytes: u64,
    /// When its client was last active.
    pub last_active: i64,
}
