//! Passes requests on to the daemon that has the upload they are about.
//!
//! Where several daemons share the catalog, each step of an upload may reach another daemon, but only the daemon that created
//! the upload has its bytes. The request is passed on to that daemon, once: a header marks it, and a marked request is
//! answered where it arrives. Nothing here knows what the requests mean.
//!
//! | file | what |
//! |---|---|
//! | `head.rs` | what of a request's head is passed on |
//! | `relay.rs` | the client, which sends the body and returns the answer |
//! | `connect.rs` | its connections |

mod connect;
mod head;
mod relay;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use nix_formats::{FileHash, StorePathHash};
use uuid::Uuid;

pub use self::head::ForwardedHead;
use self::head::is_forwarded;
pub use self::relay::{ForwardError, Forwarder, Patience};

use super::Answer;
use super::body::Body;
use super::error::HttpError;
use super::router::Head;
use crate::cache::Cache;
use crate::cache::PushError;
use crate::http::state::State;

/// Returns the URL of the daemon that has an upload, if that is another one.
pub(super) async fn owner_elsewhere(
    state: &State,
    cache: &Cache,
    upload: Uuid,
    head: &Head,
) -> Result<Option<String>, HttpError> {
    if is_forwarded(head) {
        return Ok(None);
    }
    Ok(state.uploads.find_owner(cache, upload).await?)
}

/// Passes a request on. If the owner is gone, its uploads are lost: the client gets the answer for an upload that has ended,
/// and starts again.
pub(super) async fn to_owner(state: &State, owner: &str, head: Head, body: Body) -> Answer {
    let head = ForwardedHead::of(head);
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
    head: Head,
    body: &Bytes,
    missing: PushError,
) -> Answer {
    if is_forwarded(&head) {
        return Err(missing.into());
    }
    let head = ForwardedHead::of_file(head, cache.name(), &format!("{path}.narinfo"));
    for holder in state.uploads.find_holders(cache, &file).await? {
        let body = stream::iter([Ok(body.clone())]).boxed();
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
