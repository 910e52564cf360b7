//! `debuginfo/BUILDID.debug`: names the NAR that holds a debug file. Made from the NAR when it is pushed.

use http::StatusCode;
use nar_storage::layout;

use super::untracked;
use crate::http::router::{FileName, Read, Request, Write};
use crate::http::{Answer, body, status};

/// Largest link that a client may send.
const BODY_LIMIT: u64 = 64 << 10;

/// `GET debuginfo/BUILDID.debug`.
pub async fn get(request: Request<Read, FileName>) -> Answer {
    // Debuggers ask with and without the suffix.
    let name = &request.path.0;
    let build_id = name.strip_suffix(".debug").unwrap_or(name);
    let key = layout::debuginfo_key(build_id).ok();
    untracked::send(&request.cache, key, "application/json").await
}

/// `PUT debuginfo/BUILDID.debug`. Nix sends its own links (`index-debug-info`). They are not needed: ours come from the verified
/// NAR.
pub async fn put(request: Request<Write, FileName>) -> Answer {
    body::discard(request.body, BODY_LIMIT).await?;
    Ok(status(StatusCode::OK))
}
