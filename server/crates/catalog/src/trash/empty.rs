//! Emptying the trash.

use std::collections::HashSet;

use nix_formats::StorePathHash;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait,
};

use crate::entity::field::Field;
use crate::entity::{nar, trashed_path};
use crate::writer::Written;
use crate::{Catalog, CatalogError, NarId, StorageId, TrashId, UnixTime};

type Hash = Field<trashed_path::Entity, StorePathHash>;

/// A request to empty a part of the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrashToEmpty {
    /// The storage of the NAR files.
    pub storage: StorageId,
    /// Only paths that were removed before this time.
    pub before: Option<UnixTime>,
    /// The most paths to forget, the first of those that were removed first.
    pub limit: u64,
}

/// What was taken out of the trash for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmptiedTrash {
    /// The number of paths.
    pub paths: u64,
    /// Their NAR files, of which [`Catalog::unneeded_of`] says which can be removed.
    pub nars: Vec<NarId>,
    /// The paths.
    pub hashes: Vec<StorePathHash>,
    /// The base names of the derivations that made them.
    pub derivers: Vec<String>,
}

impl Catalog {
    /// Forgets trashed paths. They cannot be restored any more, and their NAR files are no longer needed unless other paths
    /// need them.
    pub async fn empty_trash(&self, wanted: TrashToEmpty) -> Result<EmptiedTrash, CatalogError> {
        self.write(wanted, |transaction, wanted| Box::pin(empty(transaction, wanted))).await
    }
}

async fn empty(
    transaction: &DatabaseTransaction,
    wanted: &TrashToEmpty,
) -> Result<Written<EmptiedTrash>, CatalogError> {
    let mut query = trashed_path::Entity::find()
        .select_only()
        .columns([
            trashed_path::Column::Id,
            trashed_path::Column::Nar,
            trashed_path::Column::Hash,
            trashed_path::Column::Deriver,
        ])
        .join(JoinType::InnerJoin, trashed_path::Relation::Nar.def())
        .filter(nar::Column::Storage.eq(wanted.storage));
    if let Some(before) = wanted.before {
        query = query.filter(trashed_path::Column::TrashedAt.lt(before));
    }
    let found: Vec<(TrashId, NarId, Hash, Option<String>)> = query
        .order_by_asc(trashed_path::Column::Id)
        .limit(wanted.limit)
        .into_tuple()
        .all(transaction)
        .await?;
    for some in found.chunks(super::IN_LIST) {
        trashed_path::Entity::delete_many()
            .filter(trashed_path::Column::Id.is_in(some.iter().map(|(id, ..)| *id)))
            .exec(transaction)
            .await?;
    }
    let nars: HashSet<NarId> = found.iter().map(|(_, nar, ..)| *nar).collect();
    Ok(Written::quietly(EmptiedTrash {
        paths: found.len() as u64,
        nars: nars.into_iter().collect(),
        hashes: found.iter().map(|(_, _, hash, _)| **hash).collect(),
        derivers: found.into_iter().filter_map(|(.., deriver)| deriver).collect(),
    }))
}
