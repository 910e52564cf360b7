//! `multipart-nar`: creates an upload, hands out part URLs, completes and aborts the upload.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use warp::reply::Reply;

use super::compression::CompressionQuery;
use super::nar_info_create::NarInfoCreate;
use super::part_url::SignedPart;
use crate::cache::Cache;
use crate::http::body::{self, Body};
use crate::http::error::HttpError;
use crate::http::forward::{self, ForwardError, ForwardedHead, Patience};
use crate::http::router::{Head, Request, Write};
use crate::http::state::State;
use crate::http::{Answer, done, status};
use crate::uploads::{ListedPart, MAX_PART_NUMBER};

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

/// `POST …/multipart-nar`: creates an upload.
pub async fn create(request: Request<Write>) -> Answer {
    let compression = request.head.query::<CompressionQuery>()?.compression()?;
    let upload = request.state.uploads.create(&request.cache, request.grant, compression).await?;
    Ok(warp::reply::json(&json!({ "narId": upload.id, "uploadId": upload.upload_id })).into_response())
}

/// `POST …/multipart-nar/ID`: returns the URL for one part.
pub async fn sign_part(request: Request<Write, Uuid>) -> Answer {
    let Request { state, cache, path: id, head, body, .. } = request;
    let query: PartQuery = head.query()?;
    if let Some(owner) = forward::owner_elsewhere(&state, &cache, id, &head).await? {
        return forward::to_owner(&state, &owner, head, body).await;
    }
    let announcement: PartAnnouncement = body::json(body).await?;
    if !(1..=MAX_PART_NUMBER).contains(&query.part_number) {
        return Err(HttpError::bad_request(format!("partNumber must be from 1 to {MAX_PART_NUMBER}")));
    }
    let md5 = parse_md5(&announcement.content_md5)
        .ok_or_else(|| HttpError::bad_request("contentMD5 must be the base64 of 16 bytes"))?;
    let upload = state.uploads.find(&cache, id, &query.upload_id)?;
    let key = state.part_urls.load();
    let path = SignedPart::new(&key, upload.id, query.part_number, md5).sign(&key, cache.name());
    Ok(warp::reply::json(&json!({ "uploadUrl": state.origin.url(head.host()?, &path) })).into_response())
}

/// Decodes the 16 bytes of an MD5 in base64.
pub fn parse_md5(text: &str) -> Option<[u8; 16]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// `POST …/multipart-nar/ID/complete`: verifies and commits the path.
pub async fn complete(request: Request<Write, Uuid>) -> Answer {
    let Request { state, cache, grant, path: id, head, body, .. } = request;
    let query: UploadQuery = head.query()?;
    if let Some(owner) = forward::owner_elsewhere(&state, &cache, id, &head).await? {
        return complete_elsewhere(&state, &cache, id, &owner, head, body).await;
    }
    let (completed, _share): (CompletedUpload, _) = body::json_with_share(body).await?;
    let parts = completed.parts.map(|parts| parts.into_iter().map(listed).collect());
    let mut description = completed.nar_info_create.into_description().inspect_err(|_| {
        // The client would only repeat the same description; it has to create a new upload.
        state.uploads.abort(&cache, id, &query.upload_id);
    })?;
    description.pushed_by = Some(grant.id());
    let path = description.path.to_full_path();
    state.ingest.complete(&cache, id, &query.upload_id, parts, description).await?;
    Ok(done(path))
}

/// Has the daemon that has the upload complete it, and serves the path from then on. If that daemon is gone, the upload is
/// lost unless it was completed before.
async fn complete_elsewhere(
    state: &State,
    cache: &Cache,
    id: Uuid,
    owner: &str,
    head: Head,
    body: Body,
) -> Answer {
    let head = ForwardedHead::of(head);
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

/// `POST …/multipart-nar/ID/abort`: discards an upload.
pub async fn abort(request: Request<Write, Uuid>) -> Answer {
    let Request { state, cache, path: id, head, .. } = request;
    let query: UploadQuery = head.query()?;
    if let Some(owner) = forward::owner_elsewhere(&state, &cache, id, &head).await? {
        return forward::to_owner(&state, &owner, head, stream::empty().boxed()).await;
    }
    state.uploads.abort(&cache, id, &query.upload_id);
    Ok(status(StatusCode::OK))
}
