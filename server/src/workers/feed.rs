//! Keeps what is in memory in step with a catalog that other daemons change as well.

use std::sync::Arc;
use std::time::Duration;

use catalog::{CatalogChange, CatalogError, PathChange};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use nix_formats::StorePathHash;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::cache::keys::client_key;
use crate::chain::chain;
use crate::core::Core;

/// How often the used bytes of the storages are counted: what the others put there is not announced by its size.
const RECOUNT: Duration = Duration::from_secs(60);
/// Pause before something is read again that could not be read.
const BACKOFF: Duration = Duration::from_millis(500);

/// Follows the changes. Says by `in_step` when the first load is through.
pub(super) async fn run(core: Arc<Core>, stop: CancellationToken, mut in_step: Option<oneshot::Sender<()>>) {
    let mut changes = std::pin::pin!(core.catalog.changes());
    let mut recount = interval_at(Instant::now() + RECOUNT, RECOUNT);
    recount.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            change = changes.next() => {
                let Some(change) = change else { return };
                if stop.run_until_cancelled(apply(&core, change)).await.is_none() {
                    return;
                }
                if change == CatalogChange::Resync
                    && let Some(in_step) = in_step.take()
                {
                    // Nobody listens any more if that took too long.
                    let _ = in_step.send(());
                }
            }
            _ = recount.tick() => {
                if let Err(error) = count_used(&core).await {
                    tracing::warn!(error = %chain(&error), "could not count what the storages hold");
                }
            }
        }
    }
}

async fn apply(core: &Core, change: CatalogChange) {
    match change {
        CatalogChange::Path { cache, path, change } => {
            let Some(cache) = find_cache(core, cache) else { return };
            match change {
                PathChange::Inserted => {
                    // If it was there, its file was replaced by another.
                    if cache.index.contains(&path) {
                        cache.nars.forget_all();
                    }
                    cache.index.forget_reply(&path);
                    cache.index.insert(path);
                }
                PathChange::Updated => {
                    cache.index.forget_reply(&path);
                    cache.nars.forget_all();
                }
                PathChange::Hidden | PathChange::Removed => {
                    cache.nars.forget_all();
                    if cache.index.is_ahead_of_feed(&path) && is_recorded(core, &cache, &path).await {
                        cache.index.forget_reply(&path);
                    } else {
                        cache.index.remove(&path);
                    }
                }
            }
        }
        CatalogChange::SigningKeys { cache } => {
            let Some(cache) = find_cache(core, cache) else { return };
            until_done("signing keys", || load_keys(core, &cache).boxed()).await;
        }
        CatalogChange::Deployments { .. } => core.deploy.on_catalog_change(&change),
        CatalogChange::Tokens => until_done("tokens", || core.tokens.reload().boxed()).await,
        CatalogChange::Resync => {
            let begun = Instant::now();
            until_done("catalog", || load_all(core).boxed()).await;
            core.deploy.on_catalog_change(&change);
            tracing::info!(milliseconds = begun.elapsed().as_millis(), "in step with the catalog");
        }
    }
}

/// Whether the path is there again by now. A client may have been told so, so it must not be missing until that is heard.
async fn is_recorded(core: &Core, cache: &Cache, path: &StorePathHash) -> bool {
    match core.catalog.find_path(cache.id, path).await {
        Ok(record) => record.is_some_and(|record| !record.nar.damaged),
        // Then it is hidden until its coming back is heard.
        Err(error) => {
            tracing::warn!(cache = cache.name(), %path, error = %chain(&error), "could not look whether a hidden path is back");
            false
        }
    }
}

fn find_cache(core: &Core, id: catalog::CacheId) -> Option<Arc<Cache>> {
    core.caches().iter().find(|cache| cache.id == id).cloned()
}

/// Nothing that is read here may be passed over: it would stay wrong until the next change.
async fn until_done<'a>(what: &str, work: impl Fn() -> BoxFuture<'a, Result<(), CatalogError>>) {
    while let Err(error) = work().await {
        tracing::warn!(what, error = %chain(&error), "could not read what changed; trying again");
        sleep(BACKOFF).await;
    }
}

async fn load_all(core: &Core) -> Result<(), CatalogError> {
    core.tokens.reload().await?;
    for cache in core.caches().iter() {
        load_keys(core, cache).await?;
        cache.load_index(&core.catalog).await?;
    }
    count_used(core).await
}

/// Another daemon may have taken the registration of a client's key.
async fn load_keys(core: &Core, cache: &Cache) -> Result<(), CatalogError> {
    match client_key(&core.catalog.signing_keys(cache.id).await?) {
        Ok(Some(key)) => cache.adopt_client_key(key),
        Ok(None) => {}
        Err(error) => {
            tracing::error!(cache = cache.name(), error = %chain(&error), "a registered key is unusable")
        }
    }
    Ok(())
}

async fn count_used(core: &Core) -> Result<(), CatalogError> {
    for cache in core.caches().iter() {
        for storage in cache.storages().iter() {
            cache.storages().set_used(storage, core.catalog.storage_used(storage.id).await?);
        }
    }
    Ok(())
}
