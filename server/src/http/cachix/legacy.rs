//! The upload of clients 1.0 to 1.2: the NAR in one piece, then its description (protocol reference 6.1).

use std::sync::Arc;

use http::StatusCode;
use http::header::CONTENT_LENGTH;
use warp::Filter;

use super::compression::CompressionQuery;
use super::nar_info_create::NarInfoCreate;
use crate::cache::Cache;
use crate::cache::PushError;
use crate::http::error::HttpError;
use crate::http::forward::{self, RequestHead, request_head};
use crate::http::segment::NarinfoName;
use crate::http::state::State;
use crate::http::{Route, Site, access, any_of, body, reply, status};

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    any_of([nar(state.clone(), site.clone()).boxed(), narinfo(state.clone(), site.clone()).boxed()])
}

fn nar(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path("nar"))
        .and(warp::path::end())
        .and(warp::post())
        .and(access::authorization())
        .and(warp::query::<CompressionQuery>())
        .and(warp::header::optional::<u64>(CONTENT_LENGTH.as_str()))
        .and(warp::body::stream())
        .then(
            move |cache: Arc<Cache>,
                  authorization: Option<String>,
                  query: CompressionQuery,
                  length,
                  stream| {
                let state = state.clone();
                reply(async move {
                    let owner = access::write(&state.tokens, &cache, authorization.as_deref())?;
                    let (owner, compression) = (Some(owner), query.compression()?);
                    let body = body::pieces(stream);
                    state.uploads.put_file(&cache, owner, compression, None, length, body).await?;
                    Ok(status(StatusCode::OK))
                })
            },
        )
}

fn narinfo(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path::param::<NarinfoName>())
        .and(warp::path::end())
        .and(warp::post())
        .and(access::authorization())
        .and(request_head())
        .and(warp::body::stream())
        .then(
            move |cache: Arc<Cache>,
                  name: NarinfoName,
                  authorization: Option<String>,
                  head: RequestHead,
                  stream| {
                let state = state.clone();
                reply(async move {
                    access::write(&state.tokens, &cache, authorization.as_deref())?;
                    let text = body::read(stream, body::JSON_LIMIT).await?;
                    let description = body::parse::<NarInfoCreate>(&text)?.into_description()?;
                    if *description.path.hash() != name.0 {
                        return Err(HttpError::bad_request("cStoreHash is not the hash in the URL"));
                    }
                    let wanted = (name.0, description.file_hash);
                    match state.ingest.commit_file(&cache, description).await {
                        Err(missing @ PushError::NarMissing(_)) => {
                            forward::to_holder(&state, &cache, wanted, &head, &text, missing).await
                        }
                        committed => {
                            committed?;
                            Ok(status(StatusCode::OK))
                        }
                    }
                })
            },
        )
}
