//! Passing requests on to the daemon that has the upload they are about.
//!
//! Where several daemons share the catalog, a client may reach any of them with any step of an upload, whose bytes are
//! with the daemon that it began at. That one is asked, once: a request that was passed on carries a header which says so,
//! and is answered where it arrives. Nothing here knows what the requests mean.
//!
//! | file | what |
//! |---|---|
//! | `head.rs` | what of a request's head is passed on |
//! | `relay.rs` | the client: body there, answer back |
//! | `connect.rs` | its connections |

mod connect;
mod head;
mod relay;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::StatusCode;
use nix_formats::{FileHash, StorePathHash};
use uuid::Uuid;

pub use self::head::{RequestHead, request_head};
pub use self::relay::{ForwardError, Forwarder, Patience};

use super::Answer;
use super::error::HttpError;
use crate::cache::Cache;
use crate::cache::PushError;
use crate::http::state::State;

/// The daemon to ask about an upload, if that is another one.
pub(super) async fn owner_elsewhere(
    state: &State,
    cache: &Cache,
    upload: Uuid,
    head: &RequestHead,
) -> Result<Option<String>, HttpError> {
    if head.is_forwarded() {
        return Ok(None);
    }
    Ok(state.uploads.find_owner(cache, upload).await?)
}

/// Passes a request on. An owner that is gone has taken the upload with it, which the client learns as it does of any
/// upload that ended: by starting again.
pub(super) async fn to_owner(
    state: &State,
    owner: &str,
    head: RequestHead,
    body: impl Stream<Item = Result<Bytes, String>> + Send + 'static,
) -> Answer {
    state.forwarder.forward(owner, head, body, Patience::Short).await.map_err(|error| match error {
        ForwardError::Owner => PushError::UnknownUpload.into(),
        error => error.into(),
    })
}

/// Passes the narinfo of `path` on to the daemons that have its file. `missing` is the answer if none does. Once one of them
/// has committed the path, this daemon serves it as well.
pub(super) async fn to_holder(
    state: &State,
    cache: &Cache,
    (path, file): (StorePathHash, FileHash),
    head: &RequestHead,
    body: &Bytes,
    missing: PushError,
) -> Answer {
    if head.is_forwarded() {
        return Err(missing.into());
    }
    for holder in state.uploads.find_holders(cache, &file).await? {
        let body = stream::iter([Ok(body.clone())]);
        match state.forwarder.forward(&holder, head.clone(), body, Patience::Long).await {
            Err(ForwardError::Owner) => {}
            Ok(answer) if answer.status().is_success() => {
                return if state.ingest.catch_up(cache, &path).await? {
                    Ok(answer)
                } else {
                    Err(missing.into())
                };
            }
            answer => return Ok(answer?),
        }
    }
    Err(missing.into())
}

impl From<ForwardError> for HttpError {
    fn from(error: ForwardError) -> Self {
        match error {
            ForwardError::Owner => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server that has this upload does not answer; try again later",
            ),
            ForwardError::Body(reason) => PushError::Body(reason).into(),
            ForwardError::Request(error) => Self::internal(&error),
        }
    }
}
