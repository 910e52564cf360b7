//! `PUT` of one part, to the URL that the API handed out.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, ETAG};
use http::{HeaderValue, StatusCode};
use uuid::Uuid;
use warp::Filter;

use super::multipart::parse_md5;
use super::part_url::{PartUrl, PartUrlQuery};
use crate::cache::Cache;
use crate::cache::PushError;
use crate::http::error::HttpError;
use crate::http::forward::{self, Patience, RequestHead, request_head};
use crate::http::state::State;
use crate::http::{Route, Site, body, reply, status};

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    let state = state.clone();
    site.clone()
        .and(warp::path!("multipart-nar" / Uuid / "part" / u32))
        .and(warp::put())
        .and(warp::query::<PartUrlQuery>())
        .and(warp::header::optional::<String>("content-md5"))
        .and(warp::header::optional::<u64>(CONTENT_LENGTH.as_str()))
        .and(request_head())
        .and(warp::body::stream())
        .then(
            move |cache: Arc<Cache>,
                  id: Uuid,
                  number: u32,
                  query: PartUrlQuery,
                  content_md5: Option<String>,
                  length: Option<u64>,
                  head: RequestHead,
                  stream| {
                let state = state.clone();
                reply(async move {
                    let md5 = PartUrl::verify(&state.part_urls.load(), cache.name(), id, number, &query)
                        .ok_or_else(|| {
                            HttpError::new(
                                StatusCode::FORBIDDEN,
                                "this upload URL is not valid or has expired",
                            )
                        })?;
                    if content_md5.is_some_and(|announced| parse_md5(&announced) != Some(md5)) {
                        return Err(HttpError::bad_request(
                            "Content-MD5 is not the one this URL was made for",
                        ));
                    }
                    if let Some(owner) = forward::owner_elsewhere(&state, &cache, id, &head).await? {
                        let body = body::pieces(stream);
                        // The client tries a part again that could not be taken, and finds out the rest at the end.
                        return Ok(state.forwarder.forward(&owner, head, body, Patience::Short).await?);
                    }
                    let upload = state.uploads.find_signed(&cache, id)?;
                    if upload.owner.is_some_and(|owner| !state.tokens.may_continue(owner)) {
                        return Err(PushError::TokenEnded.into());
                    }
                    let etag =
                        state.uploads.put_part(&upload, number, length, md5, body::pieces(stream)).await?;
                    let mut response = status(StatusCode::OK);
                    let etag = HeaderValue::try_from(etag).map_err(|error| HttpError::internal(&error))?;
                    response.headers_mut().insert(ETAG, etag);
                    Ok(response)
                })
            },
        )
}
