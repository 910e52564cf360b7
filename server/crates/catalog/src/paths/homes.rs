//! The storages of many paths and files at once, to compare a storage with the catalog.

use std::collections::HashMap;

use nix_formats::{FileHash, StorePathHash};
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationTrait};

use super::NarRecord;
use super::load::IN_LIST;
use crate::entity::field::{Field, stored};
use crate::entity::{nar, store_path};
use crate::{CacheId, Catalog, CatalogError, NarId, StorageId};

/// Where the NAR file of a path is, and with it the files beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathHome {
    /// The storage.
    pub storage: StorageId,
    /// The file.
    pub nar: NarId,
    /// Whether the file is damaged, so that the path is hidden.
    pub damaged: bool,
}

impl Catalog {
    /// Returns where paths of a cache are, including hidden ones. Paths that the cache does not have are left out.
    pub async fn path_homes(
        &self,
        cache: CacheId,
        paths: &[StorePathHash],
    ) -> Result<HashMap<StorePathHash, PathHome>, CatalogError> {
        let mut homes = HashMap::with_capacity(paths.len());
        for some in paths.chunks(IN_LIST) {
            let found: Vec<(Field<store_path::Entity, StorePathHash>, StorageId, NarId, bool)> =
                store_path::Entity::find()
                    .select_only()
                    .column(store_path::Column::Hash)
                    .columns([nar::Column::Storage, nar::Column::Id, nar::Column::Damaged])
                    .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
                    .filter(store_path::Column::Cache.eq(cache))
                    .filter(store_path::Column::Hash.is_in(some.iter().map(stored)))
                    .into_tuple()
                    .all(self.readers())
                    .await?;
            for (hash, storage, nar, damaged) in found {
                homes.insert(*hash, PathHome { storage, nar, damaged });
            }
        }
        Ok(homes)
    }

    /// Returns NAR files of a cache by their file hashes, including damaged ones. Files that the cache does not have are left
    /// out.
    pub async fn nar_homes(
        &self,
        cache: CacheId,
        files: &[FileHash],
    ) -> Result<HashMap<FileHash, NarRecord>, CatalogError> {
        let mut homes = HashMap::with_capacity(files.len());
        for some in files.chunks(IN_LIST) {
            let found = nar::Entity::find()
                .filter(nar::Column::Cache.eq(cache))
                .filter(nar::Column::FileHash.is_in(some.iter().map(stored)))
                .all(self.readers())
                .await?;
            for row in found {
                let nar = NarRecord::from(row);
                homes.insert(nar.file_hash, nar);
            }
        }
        Ok(homes)
    }
}
