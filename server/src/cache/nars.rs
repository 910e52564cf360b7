//! NAR files that were asked for lately: where they are and how long, so that serving one takes no query.

use std::sync::Arc;

use catalog::{NarId, StorageId};
use http::HeaderValue;
use nar_storage::Key;
use nix_formats::{Compression, FileHash};

/// Most files remembered for one cache. Each takes about 120 bytes.
const CAPACITY: usize = 65_536;

/// A NAR file of a cache.
#[derive(Clone, Debug)]
pub struct KnownNar {
    /// Its row in the catalog.
    pub id: NarId,
    /// The storage that holds it.
    pub storage: StorageId,
    /// How it is compressed, and so which name it has.
    pub compression: Compression,
    /// Its length in bytes.
    pub size: u64,
    /// Where it is in the storage.
    pub key: Key,
    /// Strong entity tag, quoted.
    pub etag: HeaderValue,
}

/// A bounded memory of NAR files.
pub struct Nars(quick_cache::sync::Cache<FileHash, Arc<KnownNar>>);

impl Default for Nars {
    fn default() -> Self {
        Self(quick_cache::sync::Cache::new(CAPACITY))
    }
}

impl Nars {
    /// The file, if it is remembered.
    pub fn get(&self, hash: &FileHash) -> Option<Arc<KnownNar>> {
        self.0.get(hash)
    }

    /// Remembers a file.
    pub fn remember(&self, hash: FileHash, nar: Arc<KnownNar>) {
        self.0.insert(hash, nar);
    }

    /// Forgets a file whose catalog entry changed.
    pub fn forget(&self, hash: &FileHash) {
        self.0.remove(hash);
    }
}
