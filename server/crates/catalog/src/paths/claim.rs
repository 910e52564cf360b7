//! Which row stands for a NAR file.

use nix_formats::StorePathHash;
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};

use super::load::{self, PathKey};
use super::{NarRecord, NewNar, PathCommit};
use crate::entity::values::Count;
use crate::entity::{nar, store_path};
use crate::storages::Storages;
use crate::{CacheId, CatalogError, NarId, StorageId, UnixTime};

/// A NAR file in whose place another one was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplacedNar {
    /// Where it lay, or should have lain. If it is there, nothing refers to it any more, unless the file that replaced it
    /// lies on the same storage.
    pub storage: StorageId,
    /// Its size in bytes.
    pub file_size: u64,
}

/// The row that a commit uses.
pub(super) struct Claimed {
    pub(super) nar: NarRecord,
    /// The paths that became visible with it.
    pub(super) revealed: Vec<StorePathHash>,
    pub(super) replaced: Option<ReplacedNar>,
}

/// Which files a commit can rely on.
pub(super) struct Usable<'c> {
    storages: Storages,
    unavailable: &'c [StorageId],
}

impl<'c> Usable<'c> {
    pub(super) async fn at(
        transaction: &DatabaseTransaction,
        commit: &'c PathCommit,
    ) -> Result<Self, CatalogError> {
        let storages = Storages::of(transaction, commit.cache).await?;
        Ok(Self { storages, unavailable: &commit.unavailable })
    }

    pub(super) fn has(&self, storage: StorageId, damaged: bool) -> bool {
        !damaged && self.storages.is_enabled(storage) && !self.unavailable.contains(&storage)
    }
}

/// The row for a file: the one there is, a new one, or a new one in place of one that cannot be used.
pub(super) async fn claim(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    new: &NewNar,
    usable: &Usable<'_>,
    now: UnixTime,
) -> Result<Claimed, CatalogError> {
    let known = load::find_nar(transaction, cache, &new.file_hash).await?;
    if let Some(known) = &known
        && usable.has(known.storage, known.damaged)
    {
        if !same_contents(known, new) {
            return Err(CatalogError::ContradictingNar { file_hash: new.file_hash.to_string() });
        }
        return Ok(Claimed { nar: known.clone(), revealed: Vec::new(), replaced: None });
    }
    if !usable.storages.is_enabled(new.storage) {
        return Err(CatalogError::StorageNotInUse { storage: new.storage });
    }
    let row = nar_row(cache, new, now)?;
    let Some(known) = known else {
        let nar = row.insert(transaction).await?.into();
        return Ok(Claimed { nar, revealed: Vec::new(), replaced: None });
    };
    let (nar, paths) = replace(transaction, known.id, row).await?;
    Ok(Claimed {
        nar,
        revealed: paths.into_iter().map(|path| path.hash).collect(),
        replaced: Some(ReplacedNar { storage: known.storage, file_size: known.file_size }),
    })
}

/// Puts a row with a new id in the place of another one of the same file, so that whoever looked at the old place and
/// reports damage only now means a file that is gone, not the sound one. Returns the new row and the paths that need it.
pub(super) async fn replace(
    transaction: &DatabaseTransaction,
    old: NarId,
    row: nar::ActiveModel,
) -> Result<(NarRecord, Vec<PathKey>), CatalogError> {
    // Both rows exist for a moment, and the hash of the file is unique.
    nar::Entity::update_many()
        .col_expr(nar::Column::FileHash, Vec::<u8>::new().into())
        .filter(nar::Column::Id.eq(old))
        .exec(transaction)
        .await?;
    let new = row.insert(transaction).await?;
    store_path::Entity::update_many()
        .col_expr(store_path::Column::Nar, new.id.into())
        .filter(store_path::Column::Nar.eq(old))
        .exec(transaction)
        .await?;
    nar::Entity::delete_by_id(old).exec(transaction).await?;
    let paths = load::paths_of(transaction, new.id).await?;
    Ok((new.into(), paths))
}

fn same_contents(known: &NarRecord, new: &NewNar) -> bool {
    known.nar_hash == new.nar_hash
        && known.nar_size == new.nar_size
        && known.file_size == new.file_size
        && known.compression == new.compression
}

fn nar_row(cache: CacheId, new: &NewNar, now: UnixTime) -> Result<nar::ActiveModel, CatalogError> {
    Ok(nar::ActiveModel {
        id: ActiveValue::NotSet,
        cache: ActiveValue::Set(cache),
        storage: ActiveValue::Set(new.storage),
        file_hash: ActiveValue::Set(new.file_hash.into()),
        compression: ActiveValue::Set(new.compression.into()),
        file_size: ActiveValue::Set(Count::new("the file size", new.file_size)?.into()),
        nar_hash: ActiveValue::Set(new.nar_hash.into()),
        nar_size: ActiveValue::Set(Count::new("the NAR size", new.nar_size)?.into()),
        damaged: ActiveValue::Set(false),
        created_at: ActiveValue::Set(now),
    })
}
