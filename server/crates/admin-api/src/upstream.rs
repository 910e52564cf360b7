use http::Method;
use serde::{Deserialize, Serialize};

use crate::Endpoint;

/// Lists the upstreams of all caches that are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListUpstreams {}

impl Endpoint for ListUpstreams {
    type Reply = Vec<UpstreamInfo>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/upstreams";
}

/// Asks every upstream for its `nix-cache-info`, with the credentials for it. An upstream that does not answer is an
/// [`UpstreamCheck`] with an error, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckUpstreams {}

impl Endpoint for CheckUpstreams {
    type Reply = Vec<UpstreamCheck>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/upstreams/check";
}

/// An upstream. Counts begin when it is configured, or when the daemon starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamInfo {
    /// The URL in the configuration.
    pub url: String,
    /// The caches that ask it.
    pub caches: Vec<UpstreamUser>,
    /// The kind of credentials that it gets: `none`, `password`, `token`, `netrc`, `headers`, `certificate`, or `bucket` for those
    /// of a bucket, which may be none as well.
    pub access: String,
    /// Whether it works.
    pub state: UpstreamState,
    /// The milliseconds that it may take to say whether it has a path.
    pub lookup_timeout_ms: u64,
    /// The milliseconds for which it is remembered that it does not have a path.
    pub negative_ttl_ms: u64,
    /// The moving average of the time that it takes to answer, in microseconds; `None` if it was never asked.
    pub latency: Option<u64>,
    /// The seconds for which it is not asked, after repeated failures: its circuit breaker is open.
    pub breaker_open_for: Option<u64>,
    /// Lookups whose path it has.
    pub found: u64,
    /// Lookups whose path it does not have.
    pub absent: u64,
    /// Lookups that were answered from the memory of what it does not have.
    pub remembered: u64,
    /// The paths in that memory.
    pub remembered_paths: u64,
    /// Requests that it refused because of their credentials.
    pub refused: u64,
    /// Lookups whose path it has without a signature that counts, or in a form that cannot be served.
    pub unusable: u64,
    /// Lookups that it did not answer, or with an error.
    pub failed: u64,
    /// Lookups for which the next upstream was asked as well, because this one took long.
    pub hedged: u64,
    /// NARs that were fetched from it, or begun.
    pub nars: u64,
    /// The bytes of these NARs.
    pub nar_bytes: u64,
    /// The paths that it is not asked for at the moment, because it gave something else than it signed or promised.
    pub quarantined: u64,
    /// The last thing that went wrong, for a person.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<i64>,
}

/// A cache that asks an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamUser {
    /// The name of the cache.
    pub cache: String,
    /// The place of the upstream in the order of the cache, from 1.
    pub priority: u64,
}

/// Whether an upstream works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamState {
    /// It has not been asked yet.
    Unknown,
    /// It answers.
    Ok,
    /// It does not accept the credentials, or they cannot be read.
    Refusing,
    /// It failed repeatedly and is left alone for a while.
    BreakerOpen,
}

/// The result of checking one upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamCheck {
    /// The URL in the configuration.
    pub url: String,
    /// The time until the answer, in microseconds; `None` if it was of no use.
    pub latency: Option<u64>,
    /// What is wrong, for a person.
    pub error: Option<String>,
}
