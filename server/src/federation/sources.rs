//! Where the bytes of a NAR come from: the cache that its ticket names, and whoever else has the same file when that one
//! does not give it, or breaks off in the middle.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_RANGE, RANGE};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use nix_formats::Compression;
use url::Url;

use super::Federation;
use super::ask::{Candidate, is_failure};
use super::client::ClientError;
use super::download::{Download, DownloadError, length_of};
use super::ticket::{Source, Ticket, within};
use super::unpacked::encoding_of;
use crate::cache::Cache;
use crate::chain::chain;

/// How long the DHT may take to say who else has a path.
const PROVIDERS: Duration = Duration::from_secs(1);
/// How often a file may break off.
const MOST_BREAKS: usize = 5;

/// The caches that may have the file of a ticket.
pub struct Sources {
    federation: Arc<Federation>,
    cache: Arc<Cache>,
    ticket: Ticket,
    tried: Vec<Source>,
    /// Who was found last, and the file's URL there, relative to the cache.
    current: Option<(Candidate, String)>,
    /// Who broke off, each time.
    broke_off: Vec<Candidate>,
}

impl Sources {
    pub fn new(federation: &Arc<Federation>, cache: &Arc<Cache>, ticket: &Ticket) -> Self {
        let (federation, cache, ticket) = (federation.clone(), cache.clone(), ticket.clone());
        Self { federation, cache, ticket, tried: Vec::new(), current: None, broke_off: Vec::new() }
    }

    /// The file from the first cache that gives it; `None` if nobody does.
    pub async fn open(&mut self) -> Option<Download> {
        self.open_at(0).await
    }

    /// The rest of the file from `offset` on, after it broke off there. A cache that is alone in having it may have lost
    /// but the connection. `None` also where the file's hash is not known: then it cannot be told whether the rest is of
    /// the same file.
    pub async fn resume(&mut self, offset: u64, cause: &DownloadError) -> Option<Download> {
        let broken = self.current.take()?;
        self.federation.health.failed(&broken.0.base, &self.ticket.path);
        if !self.ticket.is_file_known {
            return None;
        }
        self.broke_off.push(broken.0.clone());
        if self.broke_off.len() > MOST_BREAKS {
            return None;
        }
        if let Some(download) = self.open_at(offset).await {
            return Some(download);
        }
        match (cause, broken) {
            (DownloadError::Lost(_), (candidate, url)) => self.fetch(candidate, url, offset).await,
            (DownloadError::Stalled(_), _) => None,
        }
    }

    /// Does not ask the source of wrong bytes for this path again for a while. If several sources contributed, that is the
    /// first, which also broke off; a retry of the reader gets the rest by themselves.
    pub fn gave_wrong_bytes(&self, reason: &str) {
        let current = self.current.as_ref().map(|(candidate, _)| candidate);
        if let Some(candidate) = self.broke_off.first().or(current) {
            self.federation.quarantine(candidate, &self.ticket.path, reason);
        }
    }

    async fn open_at(&mut self, offset: u64) -> Option<Download> {
        let source = self.ticket.source.clone();
        let told = match &source {
            Source::Here(_) => None,
            Source::Peer(base) => Some(Candidate {
                source: source.clone(),
                base: base.clone(),
                public_keys: Vec::new(),
                remote: None,
            }),
            // The ticket does not outlive the entry in the configuration.
            Source::Upstream(url) => {
                self.federation.upstreams.find(&self.cache, url).map(Candidate::upstream)
            }
        };
        if let Some(candidate) = told
            && self.is_new(&source)
        {
            let url = self.ticket.url.clone();
            if let Some(download) = self.fetch(candidate, url, offset).await {
                return Some(download);
            }
        }
        let mut others = Vec::new();
        if self.federation.looks_around(&self.cache) {
            let deadline = tokio::time::Instant::now() + PROVIDERS;
            others = self.federation.providers(&self.cache, &self.ticket.path, deadline).await;
        }
        others.extend(self.federation.upstreams_of(&self.cache));
        for candidate in others {
            if !self.is_new(&candidate.source) || !self.may_ask(&candidate.base) {
                continue;
            }
            let Ok(verified) = self.federation.ask(&candidate, &self.cache, &self.ticket.path).await else {
                continue;
            };
            let theirs = verified.ticket;
            if self.ticket.takes(&theirs)
                && let Some(download) = self.fetch(candidate, theirs.url, offset).await
            {
                return Some(download);
            }
        }
        None
    }

    /// Whether a source was not tried before; from now on it was.
    fn is_new(&mut self, source: &Source) -> bool {
        let is_new = !self.tried.contains(source);
        if is_new {
            self.tried.push(source.clone());
        }
        is_new
    }

    fn may_ask(&self, base: &Url) -> bool {
        let health = &self.federation.health;
        health.gives(base, &self.ticket.path) && health.admits(base)
    }

    async fn fetch(&mut self, candidate: Candidate, url: String, offset: u64) -> Option<Download> {
        let (federation, path) = (&self.federation, &self.ticket.path);
        let (base, health) = (&candidate.base, &federation.health);
        if !self.may_ask(base) {
            return None;
        }
        let range = (offset > 0).then(|| (RANGE.as_str(), format!("bytes={offset}-")));
        let asked = federation.request(&candidate, &within(base, &url)?, range.as_slice()).await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(error @ ClientError::Redirect(_)) => {
                federation.quarantine(&candidate, path, &chain(&error));
                return None;
            }
            Err(error) => {
                tracing::debug!(cache = %base, %path, error = %chain(&error), "could not fetch a NAR");
                if let Some(remote) = &candidate.remote {
                    remote.record.note_error(chain(&error));
                }
                health.failed(base, path);
                return None;
            }
        };
        if !is_from(&answer, offset, &self.ticket) {
            let (status, headers) = (answer.status(), answer.headers());
            tracing::debug!(cache = %base, %path, %status, ?headers, "another cache does not have its NAR");
            if offset > 0 {
                // Not every server gives a part of a file.
            } else if status != StatusCode::OK && is_failure(status) {
                health.failed(base, path);
            } else {
                let reason = format!("its narinfo promises a NAR that it does not give: status {status}");
                federation.quarantine(&candidate, path, &reason);
            }
            return None;
        }
        let download = Download::start(answer, candidate.remote.clone(), self.ticket.most_bytes())?;
        if let Some(remote) = &candidate.remote {
            remote.record.nars.increment();
        }
        self.current = Some((candidate, url));
        Some(download)
    }
}

/// Whether an answer has the bytes of the file from `offset` on.
fn is_from(answer: &Response<Incoming>, offset: u64, file: &Ticket) -> bool {
    match encoding_of(answer.headers()) {
        Some(Compression::None) => {}
        // A part of it would be one of what is encoded, and so is the length.
        Some(_) => return offset == 0 && answer.status() == StatusCode::OK,
        None => return false,
    }
    if offset > 0 {
        let Some(size) = file.file_size else { return false };
        let range = format!("bytes {offset}-{}/{size}", size - 1);
        let theirs = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        return answer.status() == StatusCode::PARTIAL_CONTENT && theirs == Some(&range);
    }
    let most = file.file_size.unwrap_or_else(|| file.most_bytes());
    let fits = |length: u64| if file.file_size.is_some() { length == most } else { length <= most };
    answer.status() == StatusCode::OK && length_of(answer).is_none_or(fits)
}
