//! How the upstreams are, for operators.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use tokio::time::timeout;

use super::Federation;
use super::ask::Candidate;
use super::unpacked::read_unpacked;
use super::upstreams::{LastError, Remote};
use crate::cache::Caches;
use crate::chain::chain;

/// How long an upstream may take when an operator checks it.
const CHECK: Duration = Duration::from_secs(10);
/// Longest `nix-cache-info` that is read.
const LONGEST_INFO: usize = 64 << 10;

/// The condition of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamCondition {
    /// It has not been asked yet.
    Unknown,
    /// It answers.
    Ok,
    /// It does not let us in, or our credentials cannot be read.
    Refusing,
    /// It failed, and is left alone for a while.
    LeftAlone,
}

/// How an upstream is, and what became of the requests to it since it was configured.
#[derive(Clone, Debug)]
pub struct UpstreamState {
    /// Its URL as the configuration has it.
    pub url: String,
    /// The caches that ask it, each with its place in their order, from 1.
    pub caches: Vec<(String, usize)>,
    /// The kind of credentials that it gets.
    pub access: &'static str,
    /// How it is.
    pub condition: UpstreamCondition,
    /// How long it may take to say whether it has a path.
    pub lookup_timeout: Duration,
    /// How long it is remembered that it does not have a path.
    pub negative_ttl: Duration,
    /// How long it takes to answer.
    pub latency: Option<Duration>,
    /// For how long more it is left alone.
    pub breaker_open_for: Option<Duration>,
    /// Lookups whose path it has.
    pub found: u64,
    /// Lookups whose path it does not have.
    pub absent: u64,
    /// Lookups that were answered from the memory of what it does not have.
    pub remembered: u64,
    /// Paths that are in this memory.
    pub remembered_paths: u64,
    /// Requests that it refused because of their credentials.
    pub refused: u64,
    /// Lookups whose path it has in a way that is of no use.
    pub unusable: u64,
    /// Lookups that it did not answer, or with an error.
    pub failed: u64,
    /// Lookups for which the next one was asked as well, because it took long.
    pub hedged: u64,
    /// NARs that were begun.
    pub nars: u64,
    /// Bytes of NARs.
    pub nar_bytes: u64,
    /// Paths that it is not asked for at the moment because of what it gave.
    pub quarantined: u64,
    /// The last thing that went wrong.
    pub last_error: Option<LastError>,
}

impl Federation {
    /// Asks every upstream what kind of cache it is, and returns for each its URL, and how long the answer took or what is wrong.
    pub async fn check_upstreams(&self) -> Vec<(String, Result<Duration, String>)> {
        let check = |remote: Arc<Remote>| async move {
            let begun = Instant::now();
            let checked = timeout(CHECK, self.check_upstream(&remote)).await;
            let checked = checked.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            (remote.config.url.to_string(), checked.map(|()| begun.elapsed()))
        };
        join_all(self.upstreams.all().into_iter().map(check)).await
    }

    async fn check_upstream(&self, remote: &Arc<Remote>) -> Result<(), String> {
        let url = remote.base.join("nix-cache-info").map_err(|error| error.to_string())?;
        let answer = self.request(&Candidate::upstream(remote.clone()), &url, &[]).await;
        let answer = answer.map_err(|error| chain(&error))?;
        match answer.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(format!("it answered with status {status}; are its credentials right?"));
            }
            status => return Err(format!("it answered with status {status} when asked for nix-cache-info")),
        }
        let body = read_unpacked(answer, LONGEST_INFO).await.map_err(|error| chain(&error))?;
        let text = String::from_utf8_lossy(&body);
        let store = text.lines().find_map(|line| line.strip_prefix("StoreDir:")).map(str::trim);
        match store {
            Some("/nix/store") => Ok(()),
            Some(_) => Err("its store directory is not /nix/store".to_owned()),
            None => Err("it is not a binary cache of Nix".to_owned()),
        }
    }

    /// Returns how the upstreams of the caches are, in the order of the caches.
    pub fn upstream_states(&self, caches: &Caches) -> Vec<UpstreamState> {
        let mut states: Vec<(usize, UpstreamState)> = Vec::new();
        let known = self.upstreams.all();
        for cache in caches.iter() {
            for (place, upstream) in cache.config().upstreams.iter().enumerate() {
                let Some(index) = known.iter().position(|remote| remote.config == *upstream) else {
                    continue;
                };
                let asker = (cache.name().to_owned(), place + 1);
                match states.iter_mut().find(|(known, _)| *known == index) {
                    Some((_, state)) => state.caches.push(asker),
                    None => {
                        let state = UpstreamState { caches: vec![asker], ..self.state_of(&known[index]) };
                        states.push((index, state));
                    }
                }
            }
        }
        states.into_iter().map(|(_, state)| state).collect()
    }

    fn state_of(&self, remote: &Remote) -> UpstreamState {
        let (record, health) = (&remote.record, self.health.get(&remote.base));
        let shunned_until = health.as_ref().and_then(|health| health.shunned_until);
        let breaker_open_for = shunned_until.and_then(|until| until.checked_duration_since(Instant::now()));
        let last_error = record.last_error();
        let is_refusing = last_error.as_ref().is_some_and(|error| error.is_current && error.is_refusal);
        let condition = match () {
            () if is_refusing => UpstreamCondition::Refusing,
            () if breaker_open_for.is_some() => UpstreamCondition::LeftAlone,
            () if health.is_none() => UpstreamCondition::Unknown,
            () => UpstreamCondition::Ok,
        };
        UpstreamState {
            url: remote.config.url.to_string(),
            caches: Vec::new(),
            access: remote.access(),
            condition,
            lookup_timeout: remote.config.lookup_timeout,
            negative_ttl: remote.config.negative_ttl,
            latency: health.and_then(|health| health.latency),
            breaker_open_for,
            found: record.found.get(),
            absent: record.absent.get(),
            remembered: record.remembered.get(),
            remembered_paths: remote.remembered_absent(),
            refused: record.refused.get(),
            unusable: record.unusable.get(),
            failed: record.failed.get(),
            hedged: record.hedged.get(),
            nars: record.nars.get(),
            nar_bytes: record.nar_bytes.get(),
            quarantined: self.health.quarantined(&remote.base) as u64,
            last_error,
        }
    }
}
