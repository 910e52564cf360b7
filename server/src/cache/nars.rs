//! NAR files that were asked for lately: where they are and how long, so that serving one takes no query.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
pub struct Nars {
    known: quick_cache::sync::Cache<FileHash, Arc<KnownNar>>,
    /// Counts what was forgotten, so that nothing looked up before that is remembered after it.
    forgotten: AtomicU64,
}

/// Proof that a file was looked up in a state not older than this.
#[derive(Clone, Copy)]
pub struct Generation(u64);

impl Default for Nars {
    fn default() -> Self {
        Self { known: quick_cache::sync::Cache::new(CAPACITY), forgotten: AtomicU64::new(0) }
    }
}

impl Nars {
    /// The file, if it is remembered.
    pub fn get(&self, hash: &FileHash) -> Option<Arc<KnownNar>> {
        self.known.get(hash)
    }

    /// Call before looking up a file that is to be remembered.
    pub fn generation(&self) -> Generation {
        Generation(self.forgotten.load(Ordering::SeqCst))
    }

    /// Remembers a file, unless something was forgotten since `generation`.
    pub fn remember(&self, hash: FileHash, nar: Arc<KnownNar>, generation: Generation) {
        self.known.insert(hash, nar);
        if self.forgotten.load(Ordering::SeqCst) != generation.0 {
            self.known.remove(&hash);
        }
    }

    /// Forgets a file whose catalog entry changed.
    pub fn forget(&self, hash: &FileHash) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.remove(hash);
    }

    /// Forgets all files.
    pub fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.clear();
    }
}
