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
use super::ask::Candidate;
use super::ticket::{Source, Ticket, within};
use crate::cache::Cache;

/// How long the other side may send nothing.
const STALL: Duration = Duration::from_secs(15);
/// A cache that, over more than this time of waiting for it, sends less than [`SLOWEST`] bytes a second, does not want to.
const GRACE: Duration = Duration::from_secs(20);
const SLOWEST: u64 = 4 << 10;
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
    broke_off: Vec<Url>,
}

/// A file from some point on, as it arrives from one cache.
pub struct Feed {
    body: BodyDataStream<Incoming>,
    received: u64,
    /// Time spent waiting for the other side, as opposed to our reader.
    waited: Duration,
}

/// Why nothing more comes from a cache.
pub enum Break {
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
    pub async fn open(&mut self) -> Option<Feed> {
        self.open_at(0).await
    }

    /// The rest of the file from `offset` on, after it broke off there. A cache that is alone in having it may have lost
    /// but the connection.
    pub async fn resume(&mut self, offset: u64, cause: &Break) -> Option<Feed> {
        let broken = self.current.take()?;
        self.federation.health.failed(&broken.0.base);
        self.broke_off.push(broken.0.base.clone());
        if self.broke_off.len() > MOST_BREAKS {
            return None;
        }
        if let Some(feed) = self.open_at(offset).await {
            return Some(feed);
        }
        match (cause, broken) {
            (Break::Lost(_), (candidate, url)) => self.fetch(candidate, url, offset).await,
            (Break::Stalled(_), _) => None,
        }
    }

    /// Leaves alone whoever sent something wrong. Of several the first, who broke off besides: if it was not that one, the
    /// reader's next attempt gets the others by themselves.
    pub fn lied(&self) {
        let current = self.current.as_ref().map(|(candidate, _)| &candidate.base);
        if let Some(base) = self.broke_off.first().or(current) {
            self.federation.health.lied(base);
        }
    }

    async fn open_at(&mut self, offset: u64) -> Option<Feed> {
        let told = match &self.ticket.source {
            Source::Here(_) => None,
            Source::Peer(base) => Some(base.clone()),
            Source::Upstream(url) => Some(Candidate::base_of_upstream(url)),
        };
        if let Some(base) = told
            && self.is_new(&self.ticket.source.clone())
        {
            let (source, url) = (self.ticket.source.clone(), self.ticket.url.clone());
            let candidate = Candidate { source, base, public_keys: Vec::new() };
            if let Some(feed) = self.fetch(candidate, url, offset).await {
                return Some(feed);
            }
        }
        let mut others = Vec::new();
        if self.cache.is_public() {
            others = self.federation.providers(&self.ticket.path).await;
        }
        others.extend(self.cache.config().upstreams.iter().map(Candidate::upstream));
        for candidate in others {
            if !self.is_new(&candidate.source) || !self.federation.health.admits(&candidate.base) {
                continue;
            }
            let Ok(verified) = self.federation.ask(&candidate, &self.cache, &self.ticket.path).await else {
                continue;
            };
            let (ours, theirs) = (&self.ticket, verified.ticket);
            let is_same = theirs.file == ours.file
                && theirs.nar_hash == ours.nar_hash
                && theirs.file_size == ours.file_size;
            if is_same && let Some(feed) = self.fetch(candidate, theirs.url, offset).await {
                return Some(feed);
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

    async fn fetch(&mut self, candidate: Candidate, url: String, offset: u64) -> Option<Feed> {
        let (base, health) = (&candidate.base, &self.federation.health);
        if !health.admits(base) {
            return None;
        }
        let asker = self.federation.asker(&candidate.source);
        let range = (offset > 0).then(|| (RANGE.as_str(), format!("bytes={offset}-")));
        let answer = self.federation.client.get_with(&within(base, &url)?, asker, range.as_slice()).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(cache = %base, %error, "could not fetch a NAR");
                health.failed(base);
                return None;
            }
        };
        if !is_from(&answer, offset, self.ticket.file_size) {
            let (status, headers) = (answer.status(), answer.headers());
            tracing::debug!(cache = %base, %status, ?headers, "another cache does not have its NAR");
            health.failed(base);
            return None;
        }
        self.current = Some((candidate, url));
        let body = BodyDataStream::new(answer.into_body());
        Some(Feed { body, received: 0, waited: Duration::ZERO })
    }
}

/// Whether an answer has the bytes of a file of that size from `offset` on.
fn is_from(answer: &Response<Incoming>, offset: u64, size: u64) -> bool {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    if offset > 0 {
        let range = format!("bytes {offset}-{}/{size}", size - 1);
        return answer.status() == StatusCode::PARTIAL_CONTENT && header(CONTENT_RANGE) == Some(&range);
    }
    let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    answer.status() == StatusCode::OK && length.is_none_or(|length| length == size)
}

impl fmt::Display for Break {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(reason) => formatter.write_str(reason),
            Self::Stalled(reason) => formatter.write_str(reason),
        }
    }
}

impl Feed {
    /// The next piece that is not empty.
    pub async fn next(&mut self) -> Result<Bytes, Break> {
        loop {
            let begun = Instant::now();
            let arrived = timeout(STALL, self.body.next()).await;
            self.waited += begun.elapsed();
            let rate = self.received.checked_div(self.waited.as_secs()).unwrap_or(u64::MAX);
            return match arrived {
                Err(_) => Err(Break::Stalled("nothing arrives any more")),
                Ok(None) => Err(Break::Lost("it ends too early".to_owned())),
                Ok(Some(Err(error))) => Err(Break::Lost(error.to_string())),
                Ok(Some(Ok(piece))) if piece.is_empty() => continue,
                Ok(Some(Ok(_))) if self.waited > GRACE && rate < SLOWEST => {
                    Err(Break::Stalled("it arrives too slowly"))
                }
                Ok(Some(Ok(piece))) => {
                    self.received += piece.len() as u64;
                    Ok(piece)
                }
            };
        }
    }
}
