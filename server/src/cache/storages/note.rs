//! The note on a storage: which catalog knows what it holds, and how far that catalog had come.
//!
//! The catalog counts up a generation before that is noted here, see [`catalog::Generation`]. So a note that is ahead of the
//! catalog means that the catalog was replaced by an older one, or lost its last transactions; and a note of another catalog
//! means that the storage and the catalog do not belong together.

use bytes::Bytes;
use catalog::{Catalog, CatalogError, StorageId};
use nar_storage::{Durability, Storage, StorageError, layout};
use uuid::Uuid;

use super::CacheStorage;

/// Longer ones are not ours.
const LONGEST: u64 = 256;

/// Why a storage could not be compared with the catalog.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The note broke off while it was read.
    #[error("the note about the catalog cannot be read")]
    Read(#[from] std::io::Error),
}

/// Which catalog the note on a storage is of, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It was not read yet.
    #[default]
    Unknown,
    /// It is of the catalog of this daemon, or there was none.
    Ours,
    /// It is of another catalog. The storage is used all the same, and the note stays until a rebuild took over what it holds.
    Foreign(Uuid),
}

/// What a note says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Note {
    catalog: Uuid,
    generation: u64,
}

impl Note {
    fn to_text(self) -> String {
        format!("catalog {}\ngeneration {}\n", self.catalog, self.generation)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let catalog = lines.next()?.strip_prefix("catalog ")?.parse().ok()?;
        let generation = lines.next()?.strip_prefix("generation ")?.parse().ok()?;
        Some(Self { catalog, generation })
    }
}

impl CacheStorage {
    /// Compares the catalog with the note on the storage. If the catalog is the older one, records that the storage is to be
    /// searched for what it has lost.
    ///
    /// With `is_copied`, a storage that has lost its note is compared with the catalog as well: the disk was replaced by an empty one,
    /// and what it held is copied to it anew.
    pub async fn compare_note(&self, catalog: &Catalog, is_copied: bool) -> Result<(), NoteError> {
        let found = read(self.storage.as_ref()).await?;
        // Only then, as another daemon may be noting a new one.
        let known = catalog.generation(self.id).await?.number;
        let ours = catalog.identity().await?;
        let standing = match found {
            Some(Some(note)) if note.catalog != ours => {
                tracing::warn!(
                    cache = self.cache(), storage = self.name(), catalog = %ours, noted = %note.catalog,
                    "a storage was last used with another catalog; if this catalog is the right one, \
                     `cachectl fsck --rebuild` adds what the storage holds"
                );
                Standing::Foreign(note.catalog)
            }
            Some(Some(note)) if note.generation > known => {
                tracing::warn!(
                    cache = self.cache(),
                    storage = self.name(),
                    generation = known,
                    noted = note.generation,
                    "the catalog is older than this storage: an earlier copy took its place, or its last changes were \
                     lost; the storage is searched for the missing paths"
                );
                catalog.begin_rebuild(self.id, note.generation).await?;
                Standing::Ours
            }
            Some(None) => {
                tracing::warn!(
                    cache = self.cache(),
                    storage = self.name(),
                    "the note about the catalog on this storage cannot be read; the storage is searched for missing paths"
                );
                catalog.begin_rebuild(self.id, known).await?;
                Standing::Ours
            }
            None if is_copied && known > 0 => {
                tracing::warn!(
                    cache = self.cache(),
                    storage = self.name(),
                    "a storage has lost the note about the catalog; what it does not hold any more is copied to it from others"
                );
                catalog.begin_rebuild(self.id, known).await?;
                Standing::Ours
            }
            Some(Some(_)) | None => Standing::Ours,
        };
        self.set_standing(standing);
        // A note that is missing, or behind, is written anew.
        self.touch();
        Ok(())
    }

    /// Notes that the catalog has come to this generation, which it has recorded before.
    pub async fn write_note(&self, catalog: Uuid, generation: u64) -> Result<(), StorageError> {
        let text = Bytes::from(Note { catalog, generation }.to_text());
        self.storage.put_bytes(&layout::catalog_note_key(), text, Durability::Now).await
    }
}

/// Returns the catalog that the text of a note is of.
pub fn noted_catalog(text: &str) -> Option<Uuid> {
    Note::parse(text).map(|note| note.catalog)
}

/// Notes on all of these storages how far the catalog has come with each. Returns those for which that failed.
pub async fn advance<'a>(
    catalog: &Catalog,
    storages: &[&'a CacheStorage],
) -> Result<Vec<(&'a CacheStorage, StorageError)>, CatalogError> {
    let ids: Vec<StorageId> = storages.iter().map(|storage| storage.id).collect();
    let ours = catalog.identity().await?;
    let generations = catalog.advance_generations(ids).await?;
    let writing = storages.iter().zip(generations).map(async |(storage, generation)| {
        storage.write_note(ours, generation).await.err().map(|error| (*storage, error))
    });
    Ok(futures_util::future::join_all(writing).await.into_iter().flatten().collect())
}

/// Reads the note of a storage. `None` if there is none, `Some(None)` if it cannot be understood.
async fn read(storage: &dyn Storage) -> Result<Option<Option<Note>>, NoteError> {
    let blob = match storage.open(&layout::catalog_note_key(), None, None).await {
        Err(StorageError::NotFound { .. }) => return Ok(None),
        opened => opened?,
    };
    if blob.total_size > LONGEST {
        return Ok(Some(None));
    }
    let text = blob.into_bytes().await?;
    Ok(Some(std::str::from_utf8(&text).ok().and_then(Note::parse)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let note = Note { catalog: Uuid::new_v4(), generation: u64::MAX };
        assert_eq!(Note::parse(&note.to_text()), Some(note));
        for text in ["", "catalog x\ngeneration 1\n", &note.to_text()[..40]] {
            assert_eq!(Note::parse(text), None, "{text:?}");
        }
    }
}
