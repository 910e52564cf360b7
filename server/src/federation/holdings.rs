//! What we tell the network: our public caches and what they hold.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use peer_network::inventory;
use peer_network::record::{AnnouncedCache, NodeDescription};
use peer_network::{HeldPath, LocalInventory, Stamp};
use url::Url;

use crate::cache::{Cache, Caches};

/// The caches, as far as they concern others.
pub struct Shelf {
    url: Url,
    caches: RwLock<Arc<Caches>>,
    /// The caches that others may have heard of.
    announced: RwLock<BTreeSet<u32>>,
}

/// The number by which the network knows a cache.
pub fn number(cache: &Cache) -> Option<u32> {
    u32::try_from(cache.id.0).ok()
}

impl Shelf {
    pub fn new(url: Url) -> Self {
        Self { url, caches: RwLock::default(), announced: RwLock::default() }
    }

    /// Where other nodes reach this one.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The enabled caches.
    pub fn caches(&self) -> Arc<Caches> {
        self.caches.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other caches. Returns those of which others have to hear: they are public now and were not, or were and are not.
    pub fn set_caches(&self, caches: Arc<Caches>) -> Vec<Arc<Cache>> {
        let public: BTreeSet<u32> = public(&caches).map(|(number, _)| number).collect();
        let before = replace(&self.caches, caches.clone());
        let announced: BTreeSet<u32> = replace(&self.announced, public.clone());
        let is_in =
            |set: &BTreeSet<u32>, cache: &Cache| number(cache).is_some_and(|number| set.contains(&number));
        let withdrawn = before.iter().filter(|cache| is_in(&announced, cache) && !is_in(&public, cache));
        let added = caches.iter().filter(|cache| is_in(&public, cache) && !is_in(&announced, cache));
        withdrawn.chain(added).cloned().collect()
    }

    /// Whether anybody else may hear of the cache.
    pub fn announces(&self, cache: u32) -> bool {
        self.find(cache).is_some()
    }

    fn find(&self, cache: u32) -> Option<Arc<Cache>> {
        let caches = self.caches();
        let mut public = public(&caches);
        public.find(|(number, _)| *number == cache).map(|(_, cache)| cache.clone())
    }
}

/// How many threads want to run for each that can, in percent, over the last minute; 0 where the system does not tell.
fn load() -> u16 {
    let threads = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute = text.split(' ').next().and_then(|load| load.parse::<f64>().ok()).unwrap_or(0.0);
    (minute / threads * 100.0).clamp(0.0, u16::MAX.into()) as u16
}

/// Bytes for which there is room in one place, as far as that is known.
fn free(caches: &Caches) -> u64 {
    let storages = public(caches).flat_map(|(_, cache)| cache.storages().snapshot());
    storages.filter_map(|storage| storage.free).max().unwrap_or(0)
}

fn replace<T>(place: &RwLock<T>, value: T) -> T {
    std::mem::replace(&mut *place.write().unwrap_or_else(PoisonError::into_inner), value)
}

fn public(caches: &Caches) -> impl Iterator<Item = (u32, &Arc<Cache>)> {
    caches.iter().filter(|cache| cache.is_public()).filter_map(|cache| Some((number(cache)?, cache)))
}

/// All paths of a cache.
pub fn paths_of(cache: &Cache) -> Vec<HeldPath> {
    let Some(number) = number(cache) else { return Vec::new() };
    cache.index.paths().into_iter().map(|hash| HeldPath { cache: number, hash }).collect()
}

impl LocalInventory for Shelf {
    fn describe(&self) -> NodeDescription {
        let announced = |(id, cache): (u32, &Arc<Cache>)| AnnouncedCache {
            id,
            name: cache.name().to_owned(),
            public_keys: cache.keys().published(),
        };
        NodeDescription {
            url: self.url.clone(),
            load: load(),
            free: free(&self.caches()),
            inventory_version: inventory::VERSION,
            run: 0,
            said: Stamp::now(),
            caches: public(&self.caches()).map(announced).collect(),
        }
    }

    fn paths(&self) -> Vec<HeldPath> {
        public(&self.caches()).flat_map(|(_, cache)| paths_of(cache)).collect()
    }

    fn holds(&self, path: &HeldPath) -> bool {
        self.find(path.cache).is_some_and(|cache| cache.index.contains(&path.hash))
    }
}
