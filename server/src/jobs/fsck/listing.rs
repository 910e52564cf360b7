//! What a storage has.

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt;
use nar_storage::{Key, Storage, StorageError, layout};
use nix_formats::{NarFileName, StorePathHash};

use super::super::JobError;
use super::super::job::Reporter;

/// The objects of a storage, as far as the catalog has an opinion about them. What was found to be right is taken out.
#[derive(Default)]
pub(super) struct Listing {
    /// NAR files with their sizes in bytes.
    pub(super) nars: HashMap<NarFileName, u64>,
    /// Narinfo files with their sizes in bytes.
    pub(super) narinfos: HashMap<StorePathHash, u64>,
    /// Listings of paths.
    pub(super) listings: HashSet<StorePathHash>,
    /// Debug info links.
    pub(super) links: Vec<Key>,
    /// The derivations of build logs, by their base names.
    pub(super) logs: Vec<String>,
    /// Realisations.
    pub(super) realisations: Vec<Key>,
    /// The bytes of all by-products.
    pub(super) by_product_bytes: u64,
    /// Objects with names that nothing of a binary cache has.
    pub(super) strange: Vec<String>,
}

/// How many strange objects are told of.
const MOST_STRANGE: usize = 20;

impl Listing {
    /// Lists a storage. The inner error is the storage's.
    pub(super) async fn read(
        storage: &dyn Storage,
        reporter: &Reporter,
    ) -> Result<Result<Self, StorageError>, JobError> {
        let mut listing = Self::default();
        let mut objects = storage.list("");
        while let Some(object) = objects.next().await {
            reporter.check()?;
            match object {
                Ok((key, size)) => listing.add(&key, size),
                Err(error) => return Ok(Err(error)),
            }
            reporter.advance(1);
        }
        Ok(Ok(listing))
    }

    fn add(&mut self, object: &Key, size: u64) {
        let key = object.as_str();
        if layout::is_by_product(object) {
            self.by_product_bytes += size;
        }
        if let Some(file) = key.strip_prefix("nar/") {
            match NarFileName::parse(file) {
                Ok(name) => drop(self.nars.insert(name, size)),
                Err(_) => self.add_strange(key),
            }
        } else if let Some(hash) = key.strip_suffix(".narinfo").filter(|hash| !hash.contains('/')) {
            match hash.parse() {
                Ok(hash) => drop(self.narinfos.insert(hash, size)),
                Err(_) => self.add_strange(key),
            }
        } else if let Some(hash) = key.strip_suffix(".ls").filter(|hash| !hash.contains('/')) {
            self.listings.extend(hash.parse::<StorePathHash>());
        } else if key.starts_with("debuginfo/") {
            self.links.push(object.clone());
        } else if let Some(derivation) = key.strip_prefix("log/") {
            self.logs.push(derivation.to_owned());
        } else if key.starts_with("realisations/") || key.starts_with("build-trace-v2/") {
            self.realisations.push(object.clone());
        }
    }

    fn add_strange(&mut self, key: &str) {
        if self.strange.len() < MOST_STRANGE {
            self.strange.push(key.to_owned());
        }
    }
}
