//! Store paths and their NAR files.

mod change;
mod claim;
mod commit;
mod homes;
mod load;
mod moves;
mod setting;
mod unpublished;
mod visible;

use std::collections::HashSet;

use nix_formats::{Compression, FileHash, NarHash, StorePath, StorePathHash};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, SelectTwo};

use crate::entity::field::stored;
use crate::entity::{nar, store_path};
use crate::gc::paths_with_it;
use crate::{CacheId, Catalog, CatalogError, NarId, PathId, StorageId, UnixTime};

pub use change::Damage;
pub(crate) use change::touch;
pub use claim::ReplacedNar;
pub(crate) use commit::insert_references;
pub use commit::{CommitOutcome, NewNar, PathCommit};
pub use homes::PathHome;
pub(crate) use load::{all_with_nar, find_visible, find_with_nar, paths_of, present_of, references_of};
pub use moves::MoveOutcome;
pub use unpublished::UnpublishedPath;
pub(crate) use unpublished::insert as insert_unpublished;

/// A compressed NAR file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarRecord {
    /// Its row.
    pub id: NarId,
    /// The storage that holds the file.
    pub storage: StorageId,
    /// SHA-256 of the file.
    pub file_hash: FileHash,
    /// How the file is compressed.
    pub compression: Compression,
    /// Size of the file in bytes.
    pub file_size: u64,
    /// SHA-256 of the NAR inside.
    pub nar_hash: NarHash,
    /// Size of the NAR inside, in bytes.
    pub nar_size: u64,
    /// Whether the file is missing or changed. The paths that need it are hidden until it is pushed again.
    pub damaged: bool,
}

/// A store path of a cache with everything its narinfo says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRecord {
    /// Its row.
    pub id: PathId,
    /// The store path.
    pub path: StorePath,
    /// The file that holds it. If it is damaged, or its storage is not enabled, the path is hidden.
    pub nar: NarRecord,
    /// What the path refers to, in the order in which it was committed.
    pub references: Vec<StorePath>,
    /// Base name of the derivation that made it.
    pub deriver: Option<String>,
    /// Its content address.
    pub ca: Option<String>,
    /// `name:base64` each.
    pub signatures: Vec<String>,
    /// When it was committed.
    pub created_at: UnixTime,
    /// When it was last used, as far as uses are recorded.
    pub last_used_at: UnixTime,
    /// The id of the token that it was pushed with, if that was one and is known.
    pub pushed_by: Option<String>,
    /// One of its references that clients cannot get, neither from this cache nor, as far as is noted, from elsewhere. `None` if its closure
    /// is complete.
    pub missing_reference: Option<StorePathHash>,
}

impl Catalog {
    /// Finds a path of a cache, even if it is hidden because its NAR is damaged or on a disabled storage.
    pub async fn find_path(
        &self,
        cache: CacheId,
        hash: &StorePathHash,
    ) -> Result<Option<PathRecord>, CatalogError> {
        while let Some(row) = load::find_with_nar(self.readers(), cache, hash).await? {
            if let Some(record) = load::record(self.readers(), row).await? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Finds a NAR file of a cache by the hash of the file, even if it is damaged or on a disabled storage.
    pub async fn find_nar(
        &self,
        cache: CacheId,
        file_hash: &FileHash,
    ) -> Result<Option<NarRecord>, CatalogError> {
        load::find_nar(self.readers(), cache, file_hash).await
    }

    /// Returns those of the caches that have a NAR file, damaged or not.
    pub async fn caches_with_nar(
        &self,
        caches: &[CacheId],
        file_hash: &FileHash,
    ) -> Result<HashSet<CacheId>, CatalogError> {
        let mut found = HashSet::new();
        for some in caches.chunks(load::IN_LIST) {
            let with_it: Vec<CacheId> = nar::Entity::find()
                .select_only()
                .column(nar::Column::Cache)
                .filter(nar::Column::Cache.is_in(some.iter().copied()))
                .filter(nar::Column::FileHash.eq(stored(file_hash)))
                .into_tuple()
                .all(self.readers())
                .await?;
            found.extend(with_it);
        }
        Ok(found)
    }

    /// Finds a NAR file by its row.
    pub async fn nar_by_id(&self, nar: NarId) -> Result<Option<NarRecord>, CatalogError> {
        Ok(nar::Entity::find_by_id(nar).one(self.readers()).await?.map(NarRecord::from))
    }

    /// As [`Catalog::find_nar`], for a file that a path of the cache needs. One that only trashed paths need is not found.
    pub async fn find_needed_nar(
        &self,
        cache: CacheId,
        file_hash: &FileHash,
    ) -> Result<Option<NarRecord>, CatalogError> {
        let row = nar::Entity::find()
            .filter(nar::Column::Cache.eq(cache))
            .filter(nar::Column::FileHash.eq(stored(file_hash)))
            .filter(Expr::exists(paths_with_it()))
            .one(self.readers())
            .await?;
        Ok(row.map(NarRecord::from))
    }

    /// Returns the paths that need a NAR file, hidden or not. There are none if the file was replaced or moved, which gave it
    /// another id.
    pub async fn paths_with_nar(&self, nar: NarId) -> Result<Vec<PathRecord>, CatalogError> {
        let query = store_path::Entity::find()
            .find_also_related(nar::Entity)
            .filter(store_path::Column::Nar.eq(nar))
            .order_by_asc(store_path::Column::Id);
        self.all_records(query).await
    }

    /// Returns at most `limit` paths of a cache after `after`, in the byte order of their hashes, including hidden ones. Fewer
    /// than `limit` means that there are no more.
    pub async fn list_paths(
        &self,
        cache: CacheId,
        after: Option<StorePathHash>,
        limit: u64,
    ) -> Result<Vec<PathRecord>, CatalogError> {
        let mut query = store_path::Entity::find()
            .find_also_related(nar::Entity)
            .filter(store_path::Column::Cache.eq(cache));
        if let Some(after) = after {
            query = query.filter(store_path::Column::Hash.gt(stored(&after)));
        }
        self.all_records(query.order_by_asc(store_path::Column::Hash).limit(limit)).await
    }

    /// Returns the records of all rows of a query.
    async fn all_records(
        &self,
        query: SelectTwo<store_path::Entity, nar::Entity>,
    ) -> Result<Vec<PathRecord>, CatalogError> {
        loop {
            let found = load::all_with_nar(self.readers(), query.clone()).await?;
            let records = load::records(self.readers(), found).await?;
            // A path that was healed while the list was read would be missing from it.
            if let Some(records) = records.into_iter().collect() {
                return Ok(records);
            }
        }
    }
}
