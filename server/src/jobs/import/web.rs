//! A binary cache behind a web server: attic, harmonia, nix-serve, niks3, Cachix, another cache-server, or plain files.
//!
//! None of these has a list of what it holds that a client could ask for, so the paths are named by whoever imports them, or
//! found by following references.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use nix_formats::{NarInfo, StorePathHash};
use rustls::ClientConfig;
use url::Url;

use super::source::{Nar, SourceError, nar_name, parse_narinfo};
use crate::federation::{Access, AddressScope, Client, ClientError, read_body, within};

/// Longest narinfo that is taken.
const LONGEST_NARINFO: usize = 1 << 20;

pub(super) struct WebCache {
    client: Client,
    /// Ends in a slash.
    base: Url,
}

impl WebCache {
    /// Opens the cache at a URL, the one that Nix has as a substituter. HTTPS has these settings.
    pub(super) async fn open(text: &str, https: ClientConfig) -> Result<Self, SourceError> {
        let mut base = Url::parse(text).map_err(|error| SourceError::Unusable(format!("{text}: {error}")))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(SourceError::Unusable("a URL with a password would end in logs".to_owned()));
        }
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let cache = Self { client: Client::new(AddressScope::Anywhere, https), base };
        let answer = cache.get(&cache.url("nix-cache-info")?).await?;
        match answer.status() {
            StatusCode::OK => Ok(cache),
            status => Err(SourceError::Unusable(format!("{text} is no binary cache: status {status}"))),
        }
    }

    pub(super) async fn narinfo(&self, hash: &StorePathHash) -> Result<NarInfo, SourceError> {
        let answer = self.get(&self.url(&format!("{hash}.narinfo"))?).await?;
        check_status(answer.status(), "it")?;
        parse_narinfo(&read_body(answer, LONGEST_NARINFO).await?)
    }

    pub(super) async fn nar(&self, narinfo: &NarInfo) -> Result<Nar, SourceError> {
        let answer = self.get(&self.url(&narinfo.url)?).await?;
        check_status(answer.status(), "its NAR")?;
        let length = answer.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = BodyDataStream::new(answer.into_body()).map_err(|error| error.to_string());
        Ok(Nar {
            body: body.boxed(),
            size: length,
            compression: narinfo.compression,
            name: nar_name(narinfo),
        })
    }

    fn url(&self, relative: &str) -> Result<Url, SourceError> {
        within(&self.base, relative)
            .ok_or_else(|| SourceError::Unusable("its narinfo has a URL outside of the cache".to_owned()))
    }

    async fn get(&self, url: &Url) -> Result<Response<Incoming>, SourceError> {
        Ok(self.client.get_following(url, &[], &Access::default(), Duration::ZERO).await?)
    }
}

fn check_status(status: StatusCode, what: &'static str) -> Result<(), SourceError> {
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(SourceError::Absent(what)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(SourceError::Unusable(format!("the source refuses it with status {status}")))
        }
        status => Err(SourceError::Unavailable(format!("the source answers with status {status}"))),
    }
}

impl From<ClientError> for SourceError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Connection(_) | ClientError::Timeout => Self::Unavailable(error.to_string()),
            error => Self::Unusable(crate::chain::chain(&error)),
        }
    }
}
