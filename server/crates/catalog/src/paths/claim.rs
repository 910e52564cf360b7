//! The row of a NAR file in a commit.

use nix_formats::StorePathHash;
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};

use super::load::{self, PathKey};
use super::{NarRecord, NewNar, PathCommit};
use crate::entity::values::Count;
use crate::entity::{nar, store_path, trashed_path};
use crate::storages::Storages;
use crate::{CacheId, CatalogError, NarId, StorageId, UnixTime, copies};

/// A NAR file that was replaced by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplacedNar {
    /// The storage on which it was recorded. Nothing refers to the file there any more, unless the new file is on the same
    /// storage.
    pub storage: StorageId,
    /// Its size in bytes.
    pub file_size: u64,
}

/// The row that a commit uses for its file.
pub(super) struct Claimed {
    pub(super) nar: NarRecord,
    /// Other paths that became visible with the file.
    pub(super) revealed: Vec<StorePathHash>,
    pub(super) replaced: Option<ReplacedNar>,
    /// Whether the committed file counts.
    pub(super) is_new: bool,
}

/// Decides which recorded files a commit can use.
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

    fn has(&self, storage: StorageId, damaged: bool) -> bool {
        !damaged && self.storages.is_enabled(storage) && !self.unavailable.contains(&storage)
    }

    /// Whether a file can be used where it has its home or, while that does not answer, where it has another copy.
    pub(super) async fn has_any(
        &self,
        transaction: &DatabaseTransaction,
        nar: NarId,
        home: StorageId,
        damaged: bool,
    ) -> Result<bool, CatalogError> {
        if self.has(home, damaged) {
            return Ok(true);
        }
        if damaged || !self.storages.is_enabled(home) {
            return Ok(false);
        }
        let others = copies::sound_places(transaction, nar).await?;
        Ok(others.into_iter().any(|storage| self.has(storage, false)))
    }
}

/// Returns the row for a file: the existing one, a new one, or a new one that replaces an unusable one.
pub(super) async fn claim(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    new: &NewNar,
    usable: &Usable<'_>,
    now: UnixTime,
) -> Result<Claimed, CatalogError> {
    let known = load::find_nar(transaction, cache, &new.file_hash).await?;
    if let Some(known) = &known
        && usable.has_any(transaction, known.id, known.storage, known.damaged).await?
    {
        if !same_contents(known, new) {
            return Err(CatalogError::ContradictingNar { file_hash: new.file_hash.to_string() });
        }
        return Ok(Claimed { nar: known.clone(), revealed: Vec::new(), replaced: None, is_new: false });
    }
    if !usable.storages.is_enabled(new.storage) {
        return Err(CatalogError::StorageNotInUse { storage: new.storage });
    }
    let Some(known) = known else {
        return claim_new(transaction, cache, new, now).await;
    };
    let (nar, paths) = replace(transaction, known.id, nar_row(cache, new, now)?).await?;
    Ok(Claimed {
        nar,
        revealed: paths.into_iter().map(|path| path.hash).collect(),
        replaced: Some(ReplacedNar { storage: known.storage, file_size: known.file_size }),
        is_new: true,
    })
}

/// Returns the row for a file that the cache does not have.
pub(super) async fn claim_new(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    new: &NewNar,
    now: UnixTime,
) -> Result<Claimed, CatalogError> {
    let nar = nar_row(cache, new, now)?.insert(transaction).await?.into();
    Ok(Claimed { nar, revealed: Vec::new(), replaced: None, is_new: true })
}

/// Replaces a row by one with a new id for the same file, so that a late report of damage at the old place does not concern
/// the sound file. Returns the new row and the paths that need it.
pub(super) async fn replace(
    transaction: &DatabaseTransaction,
    old: NarId,
    row: nar::ActiveModel,
) -> Result<(NarRecord, Vec<PathKey>), CatalogError> {
    // Both rows exist for a moment, and the file hash must be unique.
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
    trashed_path::Entity::update_many()
        .col_expr(trashed_path::Column::Nar, new.id.into())
        .filter(trashed_path::Column::Nar.eq(old))
        .exec(transaction)
        .await?;
    copies::carry_over(transaction, old, new.id, new.storage).await?;
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
