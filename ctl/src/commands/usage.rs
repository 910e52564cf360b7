use admin_api::{CacheSummary, StorageSummary};
use serde::Serialize;

use super::cache::{self, only};
use super::storage;
use crate::args::{self, Grouping};
use crate::client::Client;
use crate::error::Error;
use crate::output::{Column, Look, Output, Table, count, percent, share, size};

/// How much there is, as `--json` shows it.
#[derive(Debug, Serialize)]
pub struct Usage {
    /// By cache; `null` when not asked for.
    pub caches: Option<Vec<CacheSummary>>,
    /// By storage; `null` when not asked for.
    pub storages: Option<Vec<StorageSummary>>,
    /// Bytes of all caches, also of those that are not shown.
    #[serde(skip)]
    pub all_bytes: u64,
}

/// `cachectl usage`
pub async fn run(command: args::Usage, client: &Client, output: &Output) -> Result<(), Error> {
    let status = client.status().await?;
    let (mut caches, mut storages) = (status.caches, status.storages);
    let all_bytes = caches.iter().map(|cache| cache.file_bytes).sum();
    if let Some(cache) = only(command.cache, &caches)? {
        caches.retain(|shown| shown.name == cache);
        storages.retain(|shown| shown.cache == cache);
    }
    let usage = Usage {
        caches: (command.by != Some(Grouping::Storage)).then_some(caches),
        storages: (command.by != Some(Grouping::Cache)).then_some(storages),
        all_bytes,
    };
    output.print(&usage, |look| render(&usage, look))
}

/// How much there is.
pub fn render(usage: &Usage, look: &Look) -> String {
    let caches = usage.caches.as_ref().map(|caches| by_cache(caches, usage.all_bytes, look));
    let storages = usage.storages.as_ref().map(|storages| by_storage(storages, look));
    let sections: Vec<_> = caches.into_iter().chain(storages).collect();
    sections.join("\n")
}

fn by_cache(caches: &[CacheSummary], all_bytes: u64, look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::number("PATHS"),
        Column::number("STORED"),
        Column::number("SHARE"),
        Column::text("STATE"),
    ]);
    for cache in caches {
        let share = if all_bytes > 0 { cache.file_bytes as f64 / all_bytes as f64 } else { 0.0 };
        table.add([
            cache.name.as_str().into(),
            count(cache.paths).into(),
            size(cache.file_bytes).into(),
            percent(share).into(),
            cache::state(cache),
        ]);
    }
    table.render(look)
}

fn by_storage(storages: &[StorageSummary], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::text("STORAGE"),
        Column::number("FILES"),
        Column::number("STORED"),
        Column::number("SHARE"),
        Column::text("STATE"),
    ]);
    for storage in storages {
        table.add([
            storage.cache.as_str().into(),
            storage.name.as_str().into(),
            count(storage.nars).into(),
            size(storage.used_bytes).into(),
            share(storage.share_actual, storage.share_wanted).into(),
            storage::state(storage),
        ]);
    }
    table.render(look)
}
