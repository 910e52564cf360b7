//! `multipart-nar`: create an upload, ask for part URLs, complete, abort.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use warp::Filter;
use warp::reply::Reply;

use super::compression::CompressionQuery;
use super::nar_info_create::NarInfoCreate;
use super::part_url::PartUrl;
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::forward::{self, ForwardError, Patience, RequestHead, request_head};
use crate::http::state::State;
use crate::http::{Answer, Route, Site, access, any_of, body, reply, status};
use crate::uploads::{ListedPart, MAX_PART_NUMBER};

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    any_of([
        create(state.clone(), site.clone()).boxed(),
        part_url(state.clone(), site.clone()).boxed(),
        complete(state.clone(), site.clone()).boxed(),
        abort(state.clone(), site.clone()).boxed(),
    ])
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UploadQuery {
    upload_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartQuery {
    upload_id: String,
    part_number: u32,
}

#[derive(Deserialize)]
struct PartAnnouncement {
    #[serde(rename = "contentMD5")]
    content_md5: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompletedUpload {
    parts: Option<Vec<CompletedPart>>,
    nar_info_create: NarInfoCreate,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompletedPart {
    part_number: u32,
    e_tag: String,
}

fn create(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path("multipart-nar"))
        .and(warp::path::end())
        .and(warp::post())
        .and(access::authorization())
        .and(warp::query::<CompressionQuery>())
        .then(move |cache: Arc<Cache>, authorization: Option<String>, query: CompressionQuery| {
            let state = state.clone();
            reply(async move {
                let owner = access::write(&state.tokens, &cache, authorization.as_deref())?;
                let upload = state.uploads.create(&cache, owner, query.compression()?).await?;
                Ok(warp::reply::json(&json!({ "narId": upload.id, "uploadId": upload.upload_id }))
                    .into_response())
            })
        })
}

fn part_url(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path("multipart-nar"))
        .and(warp::path::param::<Uuid>())
        .and(warp::path::end())
        .and(warp::post())
        .and(access::authorization())
        .and(warp::query::<PartQuery>())
        .and(access::host())
        .and(request_head())
        .and(warp::body::stream())
        .then(
            move |cache: Arc<Cache>,
                  id: Uuid,
                  authorization: Option<String>,
                  query: PartQuery,
                  host: Option<String>,
                  head: RequestHead,
                  stream| {
                let state = state.clone();
                reply(async move {
                    access::write(&state.tokens, &cache, authorization.as_deref())?;
                    if let Some(owner) = forward::owner_elsewhere(&state, &cache, id, &head).await? {
                        return forward::to_owner(&state, &owner, head, body::pieces(stream)).await;
                    }
                    let announcement: PartAnnouncement = body::json(stream).await?;
                    sign_part(&state, &cache, id, &query, &announcement, host.as_deref())
                })
            },
        )
}

fn sign_part(
    state: &State,
    cache: &Cache,
    id: Uuid,
    query: &PartQuery,
    announcement: &PartAnnouncement,
    host: Option<&str>,
) -> Answer {
    if !(1..=MAX_PART_NUMBER).contains(&query.part_number) {
        return Err(HttpError::bad_request(format!("partNumber must be from 1 to {MAX_PART_NUMBER}")));
    }
    let md5 = parse_md5(&announcement.content_md5)
        .ok_or_else(|| HttpError::bad_request("contentMD5 must be the base64 of 16 bytes"))?;
    let upload = state.uploads.find(cache, id, &query.upload_id)?;
    let key = state.part_urls.load();
    let path = PartUrl::new(&key, upload.id, query.part_number, md5).sign(&key, cache.name());
    Ok(warp::reply::json(&json!({ "uploadUrl": state.origin.url(host, &path) })).into_response())
}

/// The 16 bytes of a base64 MD5.
pub fn parse_md5(text: &str) -> Option<[u8; 16]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn complete(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path!("multipart-nar" / Uuid / "complete"))
        .and(warp::post())
        .and(access::authorization())
        .and(warp::query::<UploadQuery>())
        .and(request_head())
        .and(warp::body::stream())
        .then(
            move |cache: Arc<Cache>,
                  id: Uuid,
                  authorization: Option<String>,
                  query: UploadQuery,
                  head: RequestHead,
                  stream| {
                let state = state.clone();
                reply(async move {
                    access::write(&state.tokens, &cache, authorization.as_deref())?;
                    if let Some(owner) = forward::owner_elsewhere(&state, &cache, id, &head).await? {
                        let body = body::pieces(stream);
                        return complete_elsewhere(&state, &cache, id, &owner, head, body).await;
                    }
                    let (completed, _share): (CompletedUpload, _) = body::json_with_share(stream).await?;
                    let parts = completed.parts.map(|parts| parts.into_iter().map(listed).collect());
                    let description = completed.nar_info_create.into_description().inspect_err(|_| {
                        // The client will say the same again; only a new upload can be better.
                        state.uploads.abort(&cache, id, &query.upload_id);
                    })?;
                    state.ingest.complete(&cache, id, &query.upload_id, parts, description).await?;
                    Ok(status(StatusCode::OK))
                })
            },
        )
}

/// Lets the daemon that has the upload complete it, and serves the path from then on. If that daemon is gone, so is the
/// upload, unless it was completed before.
async fn complete_elsewhere(
    state: &State,
    cache: &Cache,
    id: Uuid,
    owner: &str,
    head: RequestHead,
    body: impl Stream<Item = Result<Bytes, String>> + Send + 'static,
) -> Answer {
    match state.forwarder.forward(owner, head, body, Patience::Long).await {
        Err(ForwardError::Owner) => {
            state.ingest.find_completed(cache, id).await?;
            Ok(status(StatusCode::OK))
        }
        Ok(answer) if answer.status().is_success() => {
            state.ingest.find_completed(cache, id).await?;
            Ok(answer)
        }
        answer => Ok(answer?),
    }
}

fn listed(part: CompletedPart) -> ListedPart {
    ListedPart { number: part.part_number, etag: part.e_tag }
}

fn abort(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path!("multipart-nar" / Uuid / "abort"))
        .and(warp::post())
        .and(access::authorization())
        .and(warp::query::<UploadQuery>())
        .and(request_head())
        .then(move |cache: Arc<Cache>, id: Uuid, authorization: Option<String>, query: UploadQuery, head| {
            let state = state.clone();
            reply(async move {
                access::write(&state.tokens, &cache, authorization.as_deref())?;
                if let Some(owner) = forward::owner_elsewhere(&state, &cache, id, &head).await? {
                    return forward::to_owner(&state, &owner, head, stream::empty()).await;
                }
                state.uploads.abort(&cache, id, &query.upload_id);
                Ok(status(StatusCode::OK))
            })
        })
}
