//! What need not be pushed, because an upstream of the cache has it: readers get it through us. Whatever a client is told of is noted, see
//! `elsewhere.rs`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use nix_formats::StorePathHash;

use super::Federation;
use super::elsewhere::seen;
use super::find::Outcome;
use crate::cache::Cache;
use crate::chain::chain;

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
            .map(|hash| async move { self.find_upstream(cache, &hash).await })
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready);
        let mut found = Vec::new();
        let mut asking = std::pin::pin!(asking);
        let collecting = async {
            while let Some(verified) = asking.next().await {
                found.push(seen(&verified.ticket.source, &verified.narinfo.store_path, None));
            }
        };
        let _ = tokio::time::timeout(PATIENCE, collecting).await;
        let hashes = found.iter().map(|seen| *seen.path.hash()).collect();
        match self.rely_on(cache, found).await {
            Ok(()) => hashes,
            // What is not watched is better pushed.
            Err(error) => {
                tracing::warn!(cache = cache.name(), error = %chain(&error), "could not note what upstreams have; it has to be pushed");
                HashSet::new()
            }
        }
    }

    /// Returns what a client that may push is told of a path that the cache lacks. What an upstream has counts only if the client may skip
    /// that. The answer takes no longer than a client should wait for it.
    pub async fn find_for_pusher(self: &Arc<Self>, cache: &Arc<Cache>, hash: &StorePathHash) -> Outcome {
        let finding = tokio::time::timeout(PATIENCE, self.find_patiently(cache, hash));
        let Some(found) = finding.await.ok().and_then(Outcome::found) else { return Outcome::Absent };
        if !found.is_upstream {
            return Outcome::Found(found);
        }
        if !cache.config().skip_upstream {
            return Outcome::Absent;
        }
        let seen = seen(&found.ticket.source, &found.narinfo.store_path, None);
        match self.rely_on(cache, vec![seen]).await {
            Ok(()) => Outcome::Found(found),
            Err(error) => {
                tracing::warn!(cache = cache.name(), error = %chain(&error), "could not note what an upstream has; it has to be pushed");
                Outcome::Absent
            }
        }
    }
}
