//! The upload of clients 1.0 to 1.2: the NAR in one piece, then its description (protocol reference 6.1).

use http::StatusCode;
use nix_formats::StorePathHash;

use super::compression::CompressionQuery;
use super::nar_info_create::NarInfoCreate;
use crate::cache::PushError;
use crate::http::error::HttpError;
use crate::http::router::{Request, Write};
use crate::http::{Answer, body, done, forward, status};

/// `POST …/nar`: the NAR.
pub async fn nar(request: Request<Write>) -> Answer {
    let Request { state, cache, grant: owner, head, body, .. } = request;
    let compression = head.query::<CompressionQuery>()?.compression()?;
    let length = head.content_length()?;
    state.uploads.put_file(&cache, Some(owner), compression, None, length, body).await?;
    Ok(status(StatusCode::OK))
}

/// `POST …/HASH.narinfo`: its description.
pub async fn narinfo(request: Request<Write, StorePathHash>) -> Answer {
    let Request { state, cache, grant, path: hash, head, body, .. } = request;
    let text = body::read(body, body::JSON_LIMIT).await?;
    let mut description = body::parse::<NarInfoCreate>(&text)?.into_description()?;
    description.pushed_by = Some(grant.id());
    if *description.path.hash() != hash {
        return Err(HttpError::bad_request("cStoreHash is not the hash in the URL"));
    }
    let (file, path) = (description.file_hash, description.path.to_full_path());
    match state.ingest.commit_file(&cache, description).await {
        Err(missing @ PushError::NarMissing(_)) => {
            forward::to_holder(&state, &cache, (hash, file), head, &text, missing).await
        }
        committed => {
            committed?;
            Ok(done(path))
        }
    }
}
