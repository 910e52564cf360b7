//! Style, script and icon. Their URLs hold a hash of their contents, so browsers keep them for good.

use std::sync::LazyLock;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sha2::{Digest, Sha256};
use warp::reply::Response;

use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::router::{Nothing, Request};

/// A file that pages load.
pub struct Asset {
    /// The name, with a hash of the contents.
    name: String,
    content_type: &'static str,
    contents: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, contents: &'static str) -> Self {
        let hash: String =
            Sha256::digest(contents).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{stem}-{hash}.{extension}"), content_type, contents }
    }

    /// The path, without the slash in front.
    pub fn path(&self) -> String {
        format!("assets/{}", self.name)
    }
}

/// How pages look.
pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css")));
/// What pages do besides being read.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("app", "js", "text/javascript; charset=utf-8", include_str!("assets/app.js"))
});
/// The icon of the site.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// `GET /assets/NAME`.
pub async fn get(request: Request<Nothing, String>) -> Answer {
    let asset = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.name == request.path);
    let asset = asset.filter(|_| request.state.config().server.web_pages).ok_or_else(HttpError::not_found)?;
    let mut response = Response::new(Bytes::from_static(asset.contents.as_bytes()).into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    Ok(response)
}
