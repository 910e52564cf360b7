//! What need not be pushed, because an upstream of the cache has it: readers get it through us.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use nix_formats::StorePathHash;

use super::Federation;
use crate::cache::Cache;

/// Paths that are asked for at once.
const AT_ONCE: usize = 32;
/// How long a client that wants to push waits for that. What is not known by then counts as missing.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most paths of one query that are asked for.
const MOST: usize = 8_192;

impl Federation {
    /// Which of these paths an upstream has that the cache trusts, as far as that shows in time.
    pub async fn upstream_has(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        hashes: Vec<StorePathHash>,
    ) -> HashSet<StorePathHash> {
        if cache.config().upstreams.is_empty() {
            return HashSet::new();
        }
        let asking = stream::iter(hashes.into_iter().take(MOST))
            .map(|hash| async move { self.is_upstream(cache, &hash).await.then_some(hash) })
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready);
        let mut found = HashSet::new();
        let mut asking = std::pin::pin!(asking);
        let collecting = async {
            while let Some(hash) = asking.next().await {
                found.insert(hash);
            }
        };
        let _ = tokio::time::timeout(PATIENCE, collecting).await;
        found
    }
}
