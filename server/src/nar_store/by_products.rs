//! By-products of removed paths: debug info links, build logs and realisations, which go with the last path that they are about.
//!
//! Which links a path has follows from its listing, so they are removed before that. A link that leads to a NAR which another
//! path needs stays, as does the log of a derivation of which a path is left, in the cache or in its trash.

use std::collections::HashMap;
use std::io::BufReader;
use std::sync::Arc;

use catalog::{CatalogError, TombstoneId};
use futures_util::{StreamExt, stream};
use nar_storage::{Key, StorageError, layout};
use nix_formats::{FileHash, NarFileName, StorePathHash};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::NarStore;
use super::collect::RemoveError;
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::fail_points::reached;

/// Links that are read at once.
const AT_ONCE: usize = 8;
/// Largest link that is read.
const LINK_LIMIT: u64 = 64 << 10;

/// A listing, as far as it leads to debug files: everything else is skipped while it is read.
#[derive(Deserialize)]
struct Listing {
    root: Directory<Root>,
}

#[derive(Deserialize)]
struct Directory<T> {
    entries: Option<T>,
}

#[derive(Deserialize)]
struct Root {
    lib: Option<Directory<Lib>>,
}

#[derive(Deserialize)]
struct Lib {
    debug: Option<Directory<Debug>>,
}

#[derive(Deserialize)]
struct Debug {
    #[serde(rename = ".build-id")]
    build_id: Option<Directory<HashMap<String, Files>>>,
}

/// A directory of which only the names are of interest.
type Files = Directory<HashMap<String, IgnoredAny>>;

/// A debug info link.
#[derive(Deserialize)]
struct Link {
    archive: String,
}

impl Listing {
    /// The keys of the debug info links.
    fn links(self) -> Vec<Key> {
        let debug = self.root.entries.and_then(|root| root.lib?.entries?.debug?.entries);
        let directories = debug.and_then(|debug| debug.build_id?.entries).unwrap_or_default();
        let mut keys = Vec::new();
        for (start, directory) in directories {
            for (file, _) in directory.entries.unwrap_or_default() {
                let rest = file.strip_suffix(".debug");
                keys.extend(rest.and_then(|rest| layout::debuginfo_key(&format!("{start}{rest}")).ok()));
            }
        }
        keys
    }
}

/// Whether what a debug info link leads to is needed by a path.
pub struct Links<'a> {
    store: &'a NarStore,
    cache: &'a Cache,
    known: HashMap<FileHash, bool>,
}

impl<'a> Links<'a> {
    /// Looks at links of this cache.
    pub fn new(store: &'a NarStore, cache: &'a Cache) -> Self {
        Self { store, cache, known: HashMap::new() }
    }

    /// Whether a link can go: no path of the cache needs the NAR that it leads to. One that cannot be read stays.
    pub async fn is_unneeded(&mut self, storage: &CacheStorage, key: &Key) -> Result<bool, CatalogError> {
        let Ok(blob) = storage.storage.open(key, None, None).await else { return Ok(false) };
        if blob.total_size > LINK_LIMIT {
            return Ok(false);
        }
        let Ok(bytes) = blob.into_bytes().await else { return Ok(false) };
        let link = serde_json::from_slice::<Link>(&bytes).ok();
        let name = link.and_then(|link| NarFileName::parse(link.archive.strip_prefix("../nar/")?).ok());
        let Some(name) = name else { return Ok(false) };
        if let Some(unneeded) = self.known.get(&name.file_hash) {
            return Ok(*unneeded);
        }
        let needed = self.store.catalog.find_needed_nar(self.cache.id, &name.file_hash).await?;
        self.known.insert(name.file_hash, needed.is_none());
        Ok(needed.is_none())
    }
}

impl NarStore {
    /// Removes the debug info links of removed paths whose listings are still there.
    pub(super) async fn remove_links(
        &self,
        cache: &Cache,
        storage: &Arc<CacheStorage>,
        paths: &[StorePathHash],
    ) -> Result<(), RemoveError> {
        let mut links = Links::new(self, cache);
        for path in paths {
            for key in self.links_of(storage, path).await {
                if links.is_unneeded(storage, &key).await? {
                    storage.storage.delete(&key).await?;
                }
            }
        }
        Ok(())
    }

    /// The debug info links that the listing of a path leads to; none without a listing.
    async fn links_of(&self, storage: &CacheStorage, path: &StorePathHash) -> Vec<Key> {
        let (storage, key) = (storage.storage.clone(), layout::listing_key(path));
        let read = tokio::task::spawn_blocking(move || {
            let listing: Option<Listing> = storage
                .open_blocking(&key)
                .ok()
                .and_then(|listing| serde_json::from_reader(BufReader::new(listing)).ok());
            listing.map(Listing::links).unwrap_or_default()
        });
        read.await.unwrap_or_default()
    }

    /// Removes the build logs of the derivations of these tombstones of which no path is left.
    pub(super) async fn remove_logs_of(
        &self,
        cache: &Cache,
        tombstones: &[TombstoneId],
    ) -> Result<(), RemoveError> {
        let derivers = self.catalog.derivers_of_tombstones(tombstones).await?;
        self.remove_logs(cache, derivers).await
    }

    /// Removes the build logs of those of the derivations of which no path is left, wherever they are.
    pub(super) async fn remove_logs(&self, cache: &Cache, derivers: Vec<String>) -> Result<(), RemoveError> {
        let storages = cache.storages();
        let places: Vec<(Arc<CacheStorage>, String, Key)> = storages
            .iter()
            .filter(|storage| !storage.liveness.is_lost())
            .flat_map(|storage| {
                derivers.iter().filter_map(|deriver| {
                    Some((storage.clone(), deriver.clone(), layout::log_key(deriver).ok()?))
                })
            })
            .collect();
        // Few paths have one, and to find other paths of a derivation takes a while.
        let looking = stream::iter(places).map(|(storage, deriver, key)| async move {
            let found = storage.storage.head(&key).await?;
            Ok::<_, StorageError>(found.map(|_| (storage, deriver, key)))
        });
        let mut looking = looking.buffered(AT_ONCE);
        let mut logs = Vec::new();
        while let Some(found) = looking.next().await {
            logs.extend(found?);
        }
        if logs.is_empty() {
            return Ok(());
        }
        let found = logs.iter().map(|(_, deriver, _)| deriver.clone()).collect();
        let unneeded = self.catalog.derivers_without_paths(cache.id, found).await?;
        for (storage, _, key) in logs.iter().filter(|(_, deriver, _)| unneeded.contains(deriver)) {
            storage.storage.delete(key).await?;
        }
        Ok(())
    }

    /// Removes the realisations that lead to those of the paths that neither the cache nor its trash has.
    pub(super) async fn remove_realisations(
        &self,
        cache: &Cache,
        paths: &[StorePathHash],
    ) -> Result<(), RemoveError> {
        let names = self.catalog.realisations_without_paths(cache.id, paths).await?;
        if names.is_empty() {
            return Ok(());
        }
        for storage in cache.storages().iter().filter(|storage| !storage.liveness.is_lost()) {
            for key in names.iter().filter_map(|name| Key::new(name).ok()) {
                storage.storage.delete(&key).await?;
            }
        }
        reached("gc-realisations-removed");
        Ok(self.catalog.forget_realisations(cache.id, names).await?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_links_of_a_listing_are_those_of_its_debug_files() {
        let file = r#"{"type":"regular","size":1}"#;
        let rest = "0".repeat(38);
        let text = format!(
            r#"{{"version":1,"root":{{"type":"directory","entries":{{"bin":{{"type":"symlink","target":"x"}},"lib":{{"type":"directory",
            "entries":{{"debug":{{"type":"directory","entries":{{".build-id":{{"type":"directory","entries":{{"ab":{{"type":
            "directory","entries":{{"{rest}.debug":{file},"README":{file}}}}}}}}}}}}}}}}}}}}}}}"#
        );
        let listing: Listing = serde_json::from_str(&text).unwrap();
        assert_eq!(listing.links(), [layout::debuginfo_key(&format!("ab{rest}")).unwrap()]);
        let other = r#"{"version":1,"root":{"type":"regular","size":3}}"#;
        assert_eq!(serde_json::from_str::<Listing>(other).unwrap().links(), []);
    }
}
