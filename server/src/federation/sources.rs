//! Where the bytes of a NAR come from: the cache that its ticket names, and whoever else has the same file when that one
//! does not give it, or breaks off in the middle.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{Response, StatusCode};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use tokio::time::timeout;
use url::Url;

use super::Federation;
use super::ask::{Candidate, is_failure};
use super::client::ClientError;
use super::ticket::{Source, Ticket, within};
use super::upstreams::Remote;
use crate::cache::Cache;
use crate::chain::chain;

/// How long the other side may send nothing.
const STALL: Duration = Duration::from_secs(15);
/// A cache that, over more than this time of waiting for it, sends less than [`SLOWEST`] bytes a second, does not want to.
const GRACE: Duration = Duration::from_secs(20);
const SLOWEST: u64 = 4 << 10;
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

/// A file from some point on, as it arrives from one cache.
pub struct Download {
    body: BodyDataStream<Incoming>,
    /// Bytes that it says it has, if it does.
    pub length: Option<u64>,
    received: u64,
    /// Time spent waiting for the other side, as opposed to our reader.
    waited: Duration,
    /// The upstream that it comes from, if it is one.
    remote: Option<Arc<Remote>>,
}

/// Why nothing more comes from a cache.
pub enum DownloadError {
    /// The connection ended.
    Lost(String),
    /// It takes too long.
    Stalled(&'static str),
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
        let length = length_of(&answer);
        if let Some(remote) = &candidate.remote {
            remote.record.nars.increment();
        }
        let remote = candidate.remote.clone();
        self.current = Some((candidate, url));
        let body = BodyDataStream::new(answer.into_body());
        Some(Download { body, length, received: 0, waited: Duration::ZERO, remote })
    }
}

/// Whether an answer has the bytes of the file from `offset` on.
fn is_from(answer: &Response<Incoming>, offset: u64, file: &Ticket) -> bool {
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

fn length_of(answer: &Response<Incoming>) -> Option<u64> {
    answer.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl fmt::Display for DownloadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(reason) => formatter.write_str(reason),
            Self::Stalled(reason) => formatter.write_str(reason),
        }
    }
}

impl Download {
    /// The next piece that is not empty; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        loop {
            let begun = Instant::now();
            let arrived = timeout(STALL, self.body.next()).await;
            self.waited += begun.elapsed();
            let rate = self.received.checked_div(self.waited.as_secs()).unwrap_or(u64::MAX);
            return match arrived {
                Err(_) => Err(DownloadError::Stalled("nothing arrives any more")),
                Ok(None) => Ok(None),
                Ok(Some(Err(error))) => Err(DownloadError::Lost(error.to_string())),
                Ok(Some(Ok(piece))) if piece.is_empty() => continue,
                Ok(Some(Ok(_))) if self.waited > GRACE && rate < SLOWEST => {
                    Err(DownloadError::Stalled("it arrives too slowly"))
                }
                Ok(Some(Ok(piece))) => {
                    self.received += piece.len() as u64;
                    if let Some(remote) = &self.remote {
                        remote.record.nar_bytes.add(piece.len() as u64);
                    }
                    Ok(Some(piece))
                }
            };
        }
    }
}
