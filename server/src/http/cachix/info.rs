//! `GET /api/v1/cache/NAME`: what a client needs to know about a cache.

use catalog::TokenPermission;
use serde::Serialize;
use warp::reply::Reply;

use crate::config::PreferredCompression;
use crate::http::Answer;
use crate::http::router::{ReadApi, Request};

/// The reply, in the client's spelling (protocol reference 3.1).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BinaryCache {
    name: String,
    uri: String,
    is_public: bool,
    public_signing_keys: Vec<String>,
    github_username: String,
    permission: &'static str,
    preferred_compression_method: &'static str,
}

/// `GET /api/v1/cache/NAME`.
pub async fn get(request: Request<ReadApi>) -> Answer {
    let Request { state, cache, grant: permission, head, .. } = request;
    let info = BinaryCache {
        name: cache.name().to_owned(),
        uri: state.origin.cache_url(&cache, head.host()?),
        is_public: cache.is_public(),
        public_signing_keys: cache.keys().published().iter().map(ToString::to_string).collect(),
        github_username: String::new(),
        permission: match permission.unwrap_or(TokenPermission::Read) {
            TokenPermission::Read => "Read",
            TokenPermission::Write => "Write",
            TokenPermission::Admin => "Admin",
        },
        preferred_compression_method: match cache.config().compression {
            PreferredCompression::Zstd => "ZSTD",
            PreferredCompression::Xz => "XZ",
        },
    };
    Ok(warp::reply::json(&info).into_response())
}
