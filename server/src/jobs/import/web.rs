//! A binary cache behind a web server: attic, harmonia, nix-serve, niks3, Cachix, another cache-server, or plain files.
//!
//! None of these has a list of what it holds that a client could ask for, so the paths are named by whoever imports them, or
//! found by following references.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use nix_formats::{NarInfo, StorePathHash};
use url::Url;

use super::source::{Nar, SourceError, nar_name, parse_narinfo};
use crate::config::UpstreamCredentials;
use crate::core::Core;
use crate::federation::{
    AddressScope, Client, ClientError, Credentials, Download, most_bytes_of_file, read_unpacked, within,
};

/// Longest narinfo that is taken.
const LONGEST_NARINFO: usize = 1 << 20;

pub(super) struct WebCache {
    client: Client,
    credentials: Credentials,
    /// Ends in a slash.
    base: Url,
}

impl WebCache {
    /// Opens the cache at a URL, the one that Nix has as a substituter, with what it wants to see.
    pub(super) async fn open(
        text: &str,
        core: &Core,
        credentials: &UpstreamCredentials,
    ) -> Result<Self, SourceError> {
        let mut base = Url::parse(text).map_err(|error| SourceError::Unusable(format!("{text}: {error}")))?;
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let authorities = core.config().server.trusted_authorities.as_slice().into();
        let credentials = Credentials::new(credentials, base.host_str().unwrap_or_default(), authorities);
        let client = Client::new(AddressScope::Anywhere, core.https.clone());
        let cache = Self { client, credentials, base };
        let answer = cache.get(&cache.url("nix-cache-info")?).await?;
        match answer.status() {
            StatusCode::OK => Ok(cache),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(refusal(answer.status())),
            // What nginx says to those without a client certificate.
            StatusCode::BAD_REQUEST if text.starts_with("https://") => Err(refusal(answer.status())),
            status => Err(SourceError::Unusable(format!("{text} is no binary cache: status {status}"))),
        }
    }

    pub(super) async fn narinfo(&self, hash: &StorePathHash) -> Result<NarInfo, SourceError> {
        let answer = self.get(&self.url(&format!("{hash}.narinfo"))?).await?;
        check_status(answer.status(), "it")?;
        parse_narinfo(&read_unpacked(answer, LONGEST_NARINFO).await?)
    }

    pub(super) async fn nar(&self, narinfo: &NarInfo) -> Result<Nar, SourceError> {
        let answer = self.get(&self.url(&narinfo.url)?).await?;
        check_status(answer.status(), "its NAR")?;
        let download = Download::start(answer, None, most_bytes_of_file(narinfo.nar_size))
            .ok_or_else(|| SourceError::Unusable("its NAR is encoded in an unknown way".to_owned()))?;
        let size = download.length;
        let body = stream::unfold(download, |mut download| async move {
            let piece = download.next().await.map_err(|error| error.to_string()).transpose()?;
            Some((piece, download))
        });
        Ok(Nar { body: body.boxed(), size, compression: narinfo.compression, name: nar_name(narinfo) })
    }

    fn url(&self, relative: &str) -> Result<Url, SourceError> {
        within(&self.base, relative)
            .ok_or_else(|| SourceError::Unusable("its narinfo has a URL outside of the cache".to_owned()))
    }

    async fn get(&self, url: &Url) -> Result<Response<Incoming>, SourceError> {
        let access = self.credentials.get().await?;
        Ok(self.client.get_following(url, &[], &access, Duration::ZERO).await?)
    }
}

fn check_status(status: StatusCode, what: &'static str) -> Result<(), SourceError> {
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(SourceError::Absent(what)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(refusal(status)),
        status => Err(SourceError::Unavailable(format!("the source answers with status {status}"))),
    }
}

fn refusal(status: StatusCode) -> SourceError {
    let text = format!("the source answers with status {status}; are its credentials right?");
    SourceError::Unusable(text)
}

impl From<ClientError> for SourceError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Connection(_) | ClientError::Timeout | ClientError::Busy(_) => {
                Self::Unavailable(error.to_string())
            }
            error => Self::Unusable(crate::chain::chain(&error)),
        }
    }
}
