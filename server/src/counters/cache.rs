//! What is counted for each cache. The counters live as long as the cache is served, whatever a reload changes about it.

use meters::Counter;

use super::requests::RequestCounters;

/// What is counted for one cache.
#[derive(Default)]
pub struct CacheCounters {
    /// Requests for it.
    pub requests: RequestCounters,
    /// Narinfos that were answered from the cache itself.
    pub narinfo_hits: Counter,
    /// Narinfos of paths that nobody has.
    pub narinfo_misses: Counter,
    /// Narinfos that another node or another cache of the daemon had.
    pub narinfo_federated: Counter,
    /// Narinfos that an upstream had.
    pub narinfo_upstream: Counter,
    /// Narinfos whose readers were told to come back, as the search went on.
    pub narinfo_unfinished: Counter,
    /// Paths that were recorded.
    pub pushes: Counter,
    /// Bytes of the files of these paths.
    pub pushed_bytes: Counter,
    /// Paths that collections removed.
    pub collected_paths: Counter,
    /// Bytes that collections freed.
    pub collected_bytes: Counter,
}
