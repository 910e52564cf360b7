//! Asking one other cache for a narinfo, and checking what it says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use nix_formats::{NarInfo, PublicKey, Signature, StorePathHash};
use peer_network::Peer;
use peer_network::record::AnnouncedCache;
use tokio::time::timeout;
use url::Url;

use super::Federation;
use super::client::{ClientError, read_body};
use super::ticket::{Source, Ticket, within};
use super::trust::{keys_of_peer, trusted_keys, valid_signatures};
use super::unpacked::read_unpacked;
use super::upstreams::{Prepared, Remote};
use crate::cache::{Cache, Caches};
use crate::chain::chain;
use crate::counters::{ASKED_ELSEWHERE, FAILED_ELSEWHERE};

/// Longest narinfo that is taken.
const LONGEST_NARINFO: usize = 1 << 20;
/// Longest text of a service that refuses a request.
const LONGEST_REFUSAL: usize = 16 << 10;
/// How long another node may take to say whether it has a path. Less than a lookup may take, so that one that hangs is noticed
/// and left alone.
const PATIENCE: Duration = Duration::from_secs(4);
/// A cache that is not done with looking is asked again so many times, after this pause, if it says that it will be done
/// within so many seconds.
const MOST_RETRIES: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(600);
const SOON: u64 = 2;

/// Another cache to ask.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which one it is.
    pub source: Source,
    /// Where its narinfos are. Ends in a slash.
    pub base: Url,
    /// Whose signatures count for what it has, besides those that the asking cache trusts.
    pub public_keys: Vec<PublicKey>,
    /// The upstream that it is, if it is one.
    pub remote: Option<Arc<Remote>>,
}

/// What another cache says about a path, checked.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Its narinfo.
    pub narinfo: NarInfo,
    /// The signatures among those in it that count.
    pub valid: Vec<Signature>,
    /// How its NAR is had.
    pub ticket: Ticket,
}

/// Why a cache's answer is of no use.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It does not have the path.
    #[error("it does not have it")]
    Absent,
    /// It does not have the path, or does not give it to us.
    #[error("it answered with status 403 Forbidden")]
    Forbidden,
    /// It did not answer.
    #[error(transparent)]
    Client(ClientError),
    /// It is still looking for it.
    #[error("it is not done with looking for it")]
    NotYet,
    /// It is a bucket that does not let us in.
    #[error("the service refuses the request: {0}")]
    Refused(String),
    /// It answered with another status.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// What it sent is not a narinfo of the path, or cannot be served.
    #[error("{0}")]
    Unusable(String),
    /// Nobody that we trust vouches for it.
    #[error("its narinfo has no signature of a trusted key")]
    Untrusted,
}

impl AskError {
    /// Whether the cache as a whole seems not to work, so that it is better left alone for a while.
    fn is_failure(&self) -> bool {
        match self {
            Self::Absent | Self::Forbidden | Self::Refused(_) | Self::Unusable(_) | Self::Untrusted => false,
            Self::Client(_) | Self::NotYet => true,
            Self::Status(status) => is_failure(*status),
        }
    }
}

impl From<ClientError> for AskError {
    fn from(error: ClientError) -> Self {
        match error {
            // About this path only.
            ClientError::Redirect(_)
            | ClientError::Address(_)
            | ClientError::TooLong(_)
            | ClientError::Encoding(_) => Self::Unusable(error.to_string()),
            // About this daemon, which has memory again in a moment.
            ClientError::Busy(_) => Self::NotYet,
            error => Self::Client(error),
        }
    }
}

/// Whether a status says that the server is not well, and not only that it does not like the request.
pub(super) fn is_failure(status: StatusCode) -> bool {
    !status.is_client_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// Where a cache of another node is; `None` if its name is none, and so would lead elsewhere on that node.
pub fn base_of(peer: &Peer, cache: &AnnouncedCache) -> Option<Url> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if cache.name.is_empty() || !cache.name.bytes().all(is_plain) {
        return None;
    }
    let mut base = peer.description.url.clone();
    let prefix = base.path().trim_end_matches('/').to_owned();
    base.set_path(&format!("{prefix}/api/v1/cache/{}/", cache.name));
    Some(base)
}

impl Candidate {
    /// A cache of another node, to be asked for `cache`, which is one of `ours`.
    pub fn peer(provider: &peer_network::Provider, cache: &Cache, ours: &Caches) -> Option<Self> {
        let base = base_of(&provider.peer, &provider.cache)?;
        let public_keys = keys_of_peer(cache, ours, &provider.cache.public_keys);
        Some(Self { source: Source::Peer(base.clone()), base, public_keys, remote: None })
    }

    /// An upstream.
    pub fn upstream(remote: Arc<Remote>) -> Self {
        let (source, base) = (Source::Upstream(remote.config.url.clone()), remote.base.clone());
        Self { source, base, public_keys: remote.public_keys(), remote: Some(remote) }
    }

    fn is_bucket(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.config.is_bucket())
    }

    /// How long it may take to say whether it has a path, redirects included.
    fn patience(&self) -> Duration {
        self.remote.as_ref().map_or(PATIENCE, |remote| remote.config.lookup_timeout)
    }
}

impl Federation {
    /// Asks the cache for the path, and notes how it does. That it does not have the path, or nothing that we can use of
    /// it, says nothing about its other paths.
    pub(super) async fn ask(
        &self,
        candidate: &Candidate,
        cache: &Cache,
        path: &StorePathHash,
    ) -> Result<Verified, AskError> {
        if candidate.remote.as_ref().is_some_and(|remote| remote.is_known_absent(path)) {
            return Err(AskError::Absent);
        }
        let begun = Instant::now();
        let asked = timeout(candidate.patience(), self.ask_until_it_answers(candidate, cache, path)).await;
        let asked = asked.unwrap_or(Err(AskError::Client(ClientError::Timeout)));
        if let Some(remote) = &candidate.remote {
            note(remote, path, &asked);
        }
        let base = &candidate.base;
        let Err(error) = &asked else {
            ASKED_ELSEWHERE.increment();
            self.health.answered(base, begun.elapsed());
            return asked;
        };
        if error.is_failure() {
            FAILED_ELSEWHERE.increment();
            self.health.failed(base, path);
        } else {
            ASKED_ELSEWHERE.increment();
            self.health.answered(base, begun.elapsed());
        }
        match error {
            AskError::Absent | AskError::Forbidden => {}
            AskError::Unusable(_) | AskError::Untrusted if self.health.is_worth_a_line(base) => {
                tracing::info!(cache = %base, %path, reason = %chain(&error), "a path of another cache is left out");
            }
            _ => {
                tracing::debug!(cache = %base, %path, error = %chain(&error), "another cache was of no help")
            }
        }
        asked
    }

    /// Asks again where the other side is not done with looking for the path, as this daemon says too.
    async fn ask_until_it_answers(
        &self,
        candidate: &Candidate,
        cache: &Cache,
        path: &StorePathHash,
    ) -> Result<Verified, AskError> {
        for _ in 0..MOST_RETRIES {
            match self.ask_once(candidate, cache, path).await {
                Err(AskError::NotYet) => tokio::time::sleep(RETRY_PAUSE).await,
                asked => return asked,
            }
        }
        self.ask_once(candidate, cache, path).await
    }

    async fn ask_once(
        &self,
        candidate: &Candidate,
        cache: &Cache,
        path: &StorePathHash,
    ) -> Result<Verified, AskError> {
        let unusable = |why: &str| AskError::Unusable(why.to_owned());
        let url = candidate
            .base
            .join(&format!("{path}.narinfo"))
            .map_err(|_| unusable("its narinfo has no URL"))?;
        let answer = self.request(candidate, &url, &[]).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE if !candidate.is_bucket() => {
                return Err(AskError::Absent);
            }
            // Buckets that do not let us list them say so of every object that is not there.
            StatusCode::FORBIDDEN if !candidate.is_bucket() => return Err(AskError::Forbidden),
            status if status.is_client_error() && candidate.is_bucket() => {
                return Err(refusal_of_bucket(answer).await);
            }
            StatusCode::SERVICE_UNAVAILABLE if is_soon(answer.headers()) => return Err(AskError::NotYet),
            status => return Err(AskError::Status(status)),
        }
        let text = read_unpacked(answer, LONGEST_NARINFO).await?;
        let text = std::str::from_utf8(&text).map_err(|_| unusable("its narinfo is not text"))?;
        let mut narinfo = NarInfo::parse(text)
            .map_err(|error| AskError::Unusable(format!("its narinfo is malformed: {}", chain(&error))))?;
        if narinfo.store_path.hash() != path {
            return Err(unusable("its narinfo is about another path"));
        }
        let keys = [&candidate.public_keys[..], &trusted_keys(cache)].concat();
        let valid = valid_signatures(&mut narinfo, &keys);
        if valid.is_empty() {
            return Err(AskError::Untrusted);
        }
        within(&candidate.base, &narinfo.url)
            .ok_or_else(|| unusable("its narinfo has a URL outside of the cache"))?;
        let ticket = Ticket::of(candidate.source.clone(), &narinfo);
        Ok(Verified { narinfo, valid, ticket })
    }

    /// Asks whoever it is for a URL below its base.
    pub(super) async fn request(
        &self,
        candidate: &Candidate,
        url: &Url,
        headers: &[(&str, String)],
    ) -> Result<Response<Incoming>, ClientError> {
        match (&candidate.remote, &candidate.source) {
            (Some(remote), _) => {
                let Prepared { url, access } = remote.prepare(url).await?;
                self.client.get_following(&url, headers, &access, remote.config.lookup_timeout).await
            }
            // Nodes of the network answer nodes from what they have.
            (None, Source::Peer(_)) => {
                let node = self.network().map(|network| network.id());
                self.client.get_from_node(url, node, headers).await
            }
            (None, Source::Here(_) | Source::Upstream(_)) => self.client.get(url, headers).await,
        }
    }
}

/// Notes what came of asking an upstream.
fn note(remote: &Remote, path: &StorePathHash, asked: &Result<Verified, AskError>) {
    let record = &remote.record;
    let Err(error) = asked else {
        record.found.increment();
        record.note_success();
        return;
    };
    match error {
        AskError::Absent => {
            record.absent.increment();
            record.note_success();
            remote.remember_absent(path);
        }
        AskError::Forbidden => {
            record.refused.increment();
            // Some servers say so of everything that is not there.
            if record.found.get() > 0 {
                remote.remember_absent(path);
            } else {
                record.note_refusal(format!("{error}; are its credentials right?"));
            }
        }
        AskError::Refused(_) | AskError::Status(StatusCode::UNAUTHORIZED) => {
            record.refused.increment();
            record.note_refusal(format!("{error}; are its credentials right?"));
        }
        AskError::Unusable(_) | AskError::Untrusted => {
            record.unusable.increment();
            record.note_success();
        }
        AskError::NotYet => record.failed.increment(),
        AskError::Client(error @ ClientError::Credentials(_)) => {
            record.failed.increment();
            record.note_refusal(error.to_string());
        }
        AskError::Client(_) | AskError::Status(_) => {
            record.failed.increment();
            record.note_error(chain(error));
        }
    }
}

/// What a service says about an object that it does not give. A code is the first word about it that is not secret.
async fn refusal_of_bucket(answer: Response<Incoming>) -> AskError {
    let status = answer.status();
    let body = read_body(answer, LONGEST_REFUSAL).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map(|(code, _)| code.chars().filter(char::is_ascii_alphanumeric).collect::<String>());
    match code.as_deref() {
        Some("NoSuchKey") => AskError::Absent,
        Some("AccessDenied" | "Forbidden") | None if status == StatusCode::FORBIDDEN => AskError::Forbidden,
        None if status == StatusCode::NOT_FOUND => AskError::Absent,
        None => AskError::Status(status),
        Some(code) => AskError::Refused(code.to_owned()),
    }
}

/// Whether it says to come back within a moment.
fn is_soon(headers: &HeaderMap) -> bool {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    seconds.is_some_and(|seconds| seconds <= SOON)
}
