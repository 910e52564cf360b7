//! Finds out when a storage fails, fills up, or comes back.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;

pub(super) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut storages = JoinSet::new();
    for cache in app.caches.iter() {
        for storage in cache.storages.iter() {
            storages.spawn(watch(app.clone(), cache.clone(), storage.clone(), stop.clone()));
        }
    }
    while storages.join_next().await.is_some() {}
}

async fn watch(app: Arc<App>, cache: Arc<Cache>, storage: Arc<CacheStorage>, stop: CancellationToken) {
    while stop.run_until_cancelled(storage.probe_due()).await.is_some() {
        let Some(revived) = stop.run_until_cancelled(cache.probe(&app.catalog, &storage)).await else {
            return;
        };
        if revived {
            // Files that could not be written or removed while it was away.
            app.pusher.publish_again();
            app.pusher.remove_leftovers(&app.caches).await;
        }
    }
}
