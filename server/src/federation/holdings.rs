//! What we tell the network: our public caches and what they hold.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use ::federation::record::{AnnouncedCache, NodeDescription};
use ::federation::{HeldPath, Holdings, Stamp};
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

    /// Takes other caches. Returns what was announced of those that are not public any more, or are gone.
    pub fn set_caches(&self, caches: Arc<Caches>) -> Vec<HeldPath> {
        let public = public(&caches).map(|(number, _)| number).collect();
        let before = replace(&self.caches, caches);
        let announced: BTreeSet<u32> = replace(&self.announced, public);
        let withdrawn = |cache: &&Arc<Cache>| {
            number(cache).is_some_and(|number| announced.contains(&number) && !self.announces(number))
        };
        before.iter().filter(withdrawn).flat_map(|cache| paths_of(cache)).collect()
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

fn replace<T>(place: &RwLock<T>, value: T) -> T {
    std::mem::replace(&mut *place.write().unwrap_or_else(PoisonError::into_inner), value)
}

fn public(caches: &Caches) -> impl Iterator<Item = (u32, &Arc<Cache>)> {
    caches.iter().filter(|cache| cache.is_public()).filter_map(|cache| Some((number(cache)?, cache)))
}

fn paths_of(cache: &Cache) -> Vec<HeldPath> {
    let Some(number) = number(cache) else { return Vec::new() };
    cache.index.paths().into_iter().map(|hash| HeldPath { cache: number, hash }).collect()
}

impl Holdings for Shelf {
    fn describe(&self) -> NodeDescription {
        let announced = |(id, cache): (u32, &Arc<Cache>)| AnnouncedCache {
            id,
            name: cache.name().to_owned(),
            public_keys: cache.keys().published(),
        };
        NodeDescription {
            url: self.url.clone(),
            load: 0,
            free: 0,
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
