//! `nix-cache-info`: what Nix asks for first.

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use warp::reply::{Reply, Response};

use crate::http::Answer;
use crate::http::router::{Read, Request};

/// `GET nix-cache-info`.
pub async fn get(request: Request<Read>) -> Answer {
    let Request { cache, head, .. } = request;
    if head.header("accept")?.is_some_and(|accept| accept.contains("application/json")) {
        let info = serde_json::json!({
            "storeDir": nix_formats::STORE_DIR,
            "wantMassQuery": 1,
            "priority": cache.config().priority,
        });
        return Ok(warp::reply::json(&info).into_response());
    }
    let mut response = Response::new(cache.nix_cache_info().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/x-nix-cache-info"));
    Ok(response)
}
