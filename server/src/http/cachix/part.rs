//! `PUT` of one part, to the URL that the API handed out.

use http::header::ETAG;
use http::{HeaderValue, StatusCode};
use uuid::Uuid;

use super::multipart::parse_md5;
use crate::cache::PushError;
use crate::http::error::HttpError;
use crate::http::forward::{self, ForwardedHead, Patience};
use crate::http::router::{PartUrl, Request};
use crate::http::{Answer, status};

/// `PUT …/multipart-nar/ID/part/NUMBER`.
pub async fn put(request: Request<PartUrl, (Uuid, u32)>) -> Answer {
    let Request { state, cache, grant: md5, path: (id, number), head, body } = request;
    let announced = head.header("content-md5")?;
    if announced.is_some_and(|announced| parse_md5(announced) != Some(md5)) {
        return Err(HttpError::bad_request("Content-MD5 is not the one this URL was made for"));
    }
    let length = head.content_length()?;
    if let Some(owner) = forward::owner_elsewhere(&state, &cache, id, &head).await? {
        // If the part cannot be passed on, the client retries it. If its upload is lost, `complete` tells the client.
        let head = ForwardedHead::of(head);
        return Ok(state.forwarder.forward(&owner, head, body, Patience::Short).await?);
    }
    let upload = state.uploads.find_signed(&cache, id)?;
    if upload.owner.is_some_and(|owner| !state.tokens.may_continue(owner)) {
        return Err(PushError::TokenEnded.into());
    }
    let etag = state.uploads.put_part(&upload, number, length, md5, body).await?;
    let mut response = status(StatusCode::OK);
    let etag = HeaderValue::try_from(etag).map_err(|error| HttpError::internal(&error))?;
    response.headers_mut().insert(ETAG, etag);
    Ok(response)
}
