//! Copies of NAR files on further storages.
//!
//! The row of a NAR file names one storage, the *home* of the file, which alone decides whether its paths are visible. Further
//! copies are rows of their own. Whoever learns that the home has lost the file makes another sound copy the home, so that the
//! rest of the catalog need not know of copies.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | what is known of copies |
//! | `backlog.rs` | copies to be made: claiming, finishing, giving up |
//! | `home.rs` | making another copy the home of a file |
//! | `survey.rs` | finding files with too few copies, or too many |
//! | `removal.rs` | copies that are to be removed |
//! | `tiers.rs` | copies that move between tiers |

mod backlog;
mod home;
mod removal;
mod survey;
mod tiers;

use std::collections::{HashMap, HashSet};

use nix_formats::{Compression, FileHash, StorePathHash};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use crate::entity::field::{Field, stored};
use crate::entity::values::Count;
use crate::entity::{nar, nar_copy, store_path};
use crate::gc::IN_LIST;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, CopyId, NarId, NarRecord, StorageId, UnixTime};

pub use backlog::CopyToMake;
pub(crate) use home::{Saved, leave_storage, save_from_damage};
pub(crate) use removal::orphan;
pub use survey::{Survey, Surveyed};
pub use tiers::{Release, Released, UsedFile};

/// What is known of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CopyState {
    /// It is to be made, wherever there is room.
    Wanted,
    /// It is being made.
    Copying,
    /// It is durable and was compared with its hash.
    There,
    /// It is missing or changed, and to be replaced.
    Damaged,
    /// It is to be removed.
    Leaving,
}

impl CopyState {
    pub(crate) const ALL: [Self; 5] =
        [Self::Wanted, Self::Copying, Self::There, Self::Damaged, Self::Leaving];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Copying => "copying",
            Self::There => "there",
            Self::Damaged => "damaged",
            Self::Leaving => "leaving",
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A copy of a NAR file beside the one at its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRecord {
    /// Its row.
    pub id: CopyId,
    /// The file, unless the cache does not have it any more.
    pub nar: Option<NarId>,
    /// The storage, unless that is not decided yet.
    pub storage: Option<StorageId>,
    /// SHA-256 of the file.
    pub file_hash: FileHash,
    /// How the file is compressed.
    pub compression: Compression,
    /// Size of the file in bytes.
    pub file_size: u64,
    /// What is known of it.
    pub state: CopyState,
    /// When its bytes were last compared with the hash.
    pub checked_at: Option<UnixTime>,
}

/// Copies of the files of a cache in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyCounts {
    /// Copies that are there, beside those at the homes of the files.
    pub there: u64,
    /// Their size in bytes.
    pub there_bytes: u64,
    /// Copies that are to be made.
    pub missing: u64,
    /// Their size in bytes.
    pub missing_bytes: u64,
    /// How many of these are of files that have only one sound copy.
    pub exposed: u64,
    /// Copies that are missing or changed.
    pub damaged: u64,
    /// Copies that are to be removed.
    pub leaving: u64,
    /// Their size in bytes.
    pub leaving_bytes: u64,
}

/// Further copies on a storage in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageCopies {
    /// Sound ones.
    pub there: u64,
    /// The size of all of them in bytes, whatever their state.
    pub bytes: u64,
    /// Damaged ones.
    pub damaged: u64,
}

/// The exposure of a copy that is made for readers, or moves: if it comes to nothing, it is not wanted.
pub(crate) const NOT_MISSED: i64 = i64::MAX;

/// Copies in one state: the state, their number and bytes, and how many are of files with one sound copy.
type CountedState = (Field<nar_copy::Entity, CopyState>, i64, Option<i64>, Option<i64>);

impl Catalog {
    /// Returns whether any file of a cache has a further copy, or is to have one.
    pub async fn has_copies(&self, cache: CacheId) -> Result<bool, CatalogError> {
        let found = nar_copy::Entity::find().filter(nar_copy::Column::Cache.eq(cache)).one(self.readers());
        Ok(found.await?.is_some())
    }

    /// Returns the further copies of files, whatever their state.
    pub async fn copies_of(&self, nars: &[NarId]) -> Result<HashMap<NarId, Vec<CopyRecord>>, CatalogError> {
        let copies = by_nar(rows_of(self.readers(), nars).await?);
        Ok(copies
            .into_iter()
            .map(|(nar, rows)| (nar, rows.into_iter().map(CopyRecord::from).collect()))
            .collect())
    }

    /// Returns the storages that have a sound further copy of a file.
    pub async fn copy_storages(&self, nar: NarId) -> Result<Vec<StorageId>, CatalogError> {
        sound_places(self.readers(), nar).await
    }

    /// Returns those of the files of which a storage has a further copy, whatever its state: such a file belongs there.
    pub async fn copied_to(
        &self,
        storage: StorageId,
        files: &[FileHash],
    ) -> Result<HashSet<FileHash>, CatalogError> {
        let mut found = HashSet::new();
        for some in files.chunks(IN_LIST) {
            let hashes: Vec<Field<nar_copy::Entity, FileHash>> = nar_copy::Entity::find()
                .select_only()
                .column(nar_copy::Column::FileHash)
                .filter(nar_copy::Column::Storage.eq(storage))
                .filter(nar_copy::Column::FileHash.is_in(some.iter().map(stored)))
                .into_tuple()
                .all(self.readers())
                .await?;
            found.extend(hashes.into_iter().map(Field::into_inner));
        }
        Ok(found)
    }

    /// Returns what is known of the further copy of a file on a storage.
    pub async fn copy_at(
        &self,
        storage: StorageId,
        file: &FileHash,
    ) -> Result<Option<CopyState>, CatalogError> {
        let row = nar_copy::Entity::find()
            .filter(nar_copy::Column::Storage.eq(storage))
            .filter(nar_copy::Column::FileHash.eq(stored(file)))
            .one(self.readers())
            .await?;
        Ok(row.map(|row| *row.state))
    }

    /// Returns those of the paths of a cache of whose file a storage has, or is about to have, a further copy.
    pub async fn paths_copied_to(
        &self,
        cache: CacheId,
        storage: StorageId,
        paths: &[StorePathHash],
    ) -> Result<HashSet<StorePathHash>, CatalogError> {
        let mut found = HashSet::new();
        for some in paths.chunks(IN_LIST) {
            let hashes: Vec<Field<store_path::Entity, StorePathHash>> = store_path::Entity::find()
                .select_only()
                .column(store_path::Column::Hash)
                .filter(store_path::Column::Cache.eq(cache))
                .filter(store_path::Column::Hash.is_in(some.iter().map(stored)))
                .filter(
                    store_path::Column::Nar.in_subquery(
                        sea_orm::sea_query::Query::select()
                            .column(nar_copy::Column::Nar)
                            .from(nar_copy::Entity)
                            .and_where(nar_copy::Column::Storage.eq(storage))
                            .and_where(nar_copy::Column::Nar.is_not_null())
                            .and_where(nar_copy::Column::State.ne(stored(&CopyState::Leaving)))
                            .and_where(
                                Expr::col((nar_copy::Entity, nar_copy::Column::Nar))
                                    .equals((store_path::Entity, store_path::Column::Nar)),
                            )
                            .take(),
                    ),
                )
                .into_tuple()
                .all(self.readers())
                .await?;
            found.extend(hashes.into_iter().map(Field::into_inner));
        }
        Ok(found)
    }

    /// As [`Catalog::nars_on`], with the files of which the storage has a sound further copy. These carry the storage and
    /// count as undamaged.
    pub async fn files_on(
        &self,
        storage: StorageId,
        after: Option<NarId>,
        limit: u64,
    ) -> Result<Vec<NarRecord>, CatalogError> {
        let mut files = self.nars_on(storage, after, limit).await?;
        let copies: Vec<Option<NarId>> = nar_copy::Entity::find()
            .select_only()
            .column(nar_copy::Column::Nar)
            .filter(nar_copy::Column::Storage.eq(storage))
            .filter(nar_copy::Column::State.eq(stored(&CopyState::There)))
            .filter(nar_copy::Column::Nar.gt(after.unwrap_or(NarId(0))))
            .order_by_asc(nar_copy::Column::Nar)
            .limit(limit)
            .into_tuple()
            .all(self.readers())
            .await?;
        let copies: Vec<NarId> = copies.into_iter().flatten().collect();
        if copies.is_empty() {
            return Ok(files);
        }
        let rows = nars_by_id(self.readers(), &copies).await?;
        files.extend(rows.into_iter().filter(|row| row.storage != storage).map(|row| NarRecord {
            storage,
            damaged: false,
            ..row.into()
        }));
        files.sort_unstable_by_key(|nar| nar.id);
        files.dedup_by_key(|nar| nar.id);
        files.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(files)
    }

    /// Records that further copies on a storage were compared with their hashes.
    pub async fn note_checked(
        &self,
        storage: StorageId,
        nars: Vec<NarId>,
        now: UnixTime,
    ) -> Result<(), CatalogError> {
        self.write((storage, nars, now), |transaction, (storage, nars, now)| {
            Box::pin(async move {
                for some in nars.chunks(IN_LIST) {
                    nar_copy::Entity::update_many()
                        .col_expr(nar_copy::Column::CheckedAt, (*now).into())
                        .filter(nar_copy::Column::Nar.is_in(some.iter().copied()))
                        .filter(nar_copy::Column::Storage.eq(*storage))
                        .exec(transaction)
                        .await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Returns the copies of the files of a cache in numbers. Reads an index of all copies of the cache.
    pub async fn copy_counts(&self, cache: CacheId) -> Result<CopyCounts, CatalogError> {
        // Written out, as PostgreSQL takes two parameters for different values.
        let exposed = "CAST(SUM(CASE WHEN exposure <= 1 THEN 1 ELSE 0 END) AS bigint)";
        let rows: Vec<CountedState> = nar_copy::Entity::find()
            .select_only()
            .column(nar_copy::Column::State)
            .expr(nar_copy::Column::Id.count())
            .expr(nar_copy::Column::FileSize.sum().cast_as("bigint"))
            .expr(Expr::cust(exposed))
            .filter(nar_copy::Column::Cache.eq(cache))
            .filter(nar_copy::Column::Exposure.ne(NOT_MISSED))
            .group_by(nar_copy::Column::State)
            .into_tuple()
            .all(self.readers())
            .await?;
        let mut counts = CopyCounts::default();
        for (state, count, bytes, exposed) in rows {
            let count = Count::of_sum::<nar_copy::Entity>("count", count)?;
            let bytes = Count::of_sum::<nar_copy::Entity>("file_size", bytes.unwrap_or(0))?;
            match state.into_inner() {
                CopyState::There => {
                    counts.there += count;
                    counts.there_bytes += bytes;
                    continue;
                }
                CopyState::Leaving => {
                    counts.leaving += count;
                    counts.leaving_bytes += bytes;
                    continue;
                }
                CopyState::Damaged => counts.damaged += count,
                CopyState::Wanted | CopyState::Copying => {}
            }
            counts.missing += count;
            counts.missing_bytes += bytes;
            counts.exposed += Count::of_sum::<nar_copy::Entity>("count", exposed.unwrap_or(0))?;
        }
        Ok(counts)
    }

    /// Returns the further copies on a storage in numbers.
    pub async fn storage_copies(&self, storage: StorageId) -> Result<StorageCopies, CatalogError> {
        let rows: Vec<(Field<nar_copy::Entity, CopyState>, i64, Option<i64>)> = nar_copy::Entity::find()
            .select_only()
            .column(nar_copy::Column::State)
            .expr(nar_copy::Column::Id.count())
            .expr(nar_copy::Column::FileSize.sum().cast_as("bigint"))
            .filter(nar_copy::Column::Storage.eq(storage))
            .group_by(nar_copy::Column::State)
            .into_tuple()
            .all(self.readers())
            .await?;
        let mut copies = StorageCopies::default();
        for (state, count, bytes) in rows {
            let count = Count::of_sum::<nar_copy::Entity>("count", count)?;
            match state.into_inner() {
                CopyState::There => copies.there += count,
                CopyState::Damaged => copies.damaged += count,
                // Its room is reserved.
                CopyState::Copying | CopyState::Wanted => continue,
                CopyState::Leaving => {}
            }
            copies.bytes += Count::of_sum::<nar_copy::Entity>("file_size", bytes.unwrap_or(0))?;
        }
        Ok(copies)
    }

    /// Records that a storage has a sound further copy of a file, which nobody knew of. Returns whether it counts: the file may be
    /// known there already, or be gone.
    pub async fn adopt_copy(
        &self,
        nar: NarId,
        storage: StorageId,
        now: UnixTime,
    ) -> Result<bool, CatalogError> {
        self.write((nar, storage, now), |transaction, (nar, storage, now)| {
            Box::pin(adopt(transaction, *nar, *storage, *now))
        })
        .await
    }
}

async fn adopt(
    transaction: &DatabaseTransaction,
    nar: NarId,
    storage: StorageId,
    now: UnixTime,
) -> Result<Written<bool>, CatalogError> {
    let found = nar::Entity::find_by_id(nar).one(transaction).await?;
    let Some(row) = found.filter(|row| row.storage != storage && !row.damaged) else {
        return Ok(Written::quietly(false));
    };
    let known = rows_of(transaction, &[nar]).await?;
    if known.iter().any(|copy| copy.storage == Some(storage)) {
        return Ok(Written::quietly(false));
    }
    // One that was about to be removed as a file that nothing needs.
    removal::forget_at(transaction, storage, &row.file_hash).await?;
    if let Some(wanted) = known.iter().find(|copy| *copy.state == CopyState::Wanted) {
        nar_copy::Entity::delete_by_id(wanted.id).exec(transaction).await?;
    }
    let copy = nar_copy::ActiveModel {
        storage: ActiveValue::Set(Some(storage)),
        checked_at: ActiveValue::Set(Some(now)),
        ..new_row(&row, CopyState::There, 0)
    };
    nar_copy::Entity::insert(copy).exec_without_returning(transaction).await?;
    Ok(Written::quietly(true))
}

/// Returns the rows of the further copies of files.
async fn rows_of(
    connection: &impl ConnectionTrait,
    nars: &[NarId],
) -> Result<Vec<nar_copy::Model>, CatalogError> {
    let mut rows = Vec::new();
    for some in nars.chunks(IN_LIST) {
        let query = nar_copy::Entity::find()
            .filter(nar_copy::Column::Nar.is_in(some.iter().copied()))
            .order_by_asc(nar_copy::Column::Id);
        rows.extend(query.all(connection).await?);
    }
    Ok(rows)
}

/// Sorts copies by their files. Those of files that are gone are left out.
fn by_nar(rows: Vec<nar_copy::Model>) -> HashMap<NarId, Vec<nar_copy::Model>> {
    let mut copies: HashMap<NarId, Vec<nar_copy::Model>> = HashMap::new();
    for row in rows {
        if let Some(nar) = row.nar {
            copies.entry(nar).or_default().push(row);
        }
    }
    copies
}

async fn nars_by_id(
    connection: &impl ConnectionTrait,
    nars: &[NarId],
) -> Result<Vec<nar::Model>, CatalogError> {
    let mut rows = Vec::with_capacity(nars.len());
    for some in nars.chunks(IN_LIST) {
        let query = nar::Entity::find().filter(nar::Column::Id.is_in(some.iter().copied()));
        rows.extend(query.all(connection).await?);
    }
    Ok(rows)
}

/// Returns the storages with a sound further copy of a file.
pub(crate) async fn sound_places(
    connection: &impl ConnectionTrait,
    nar: NarId,
) -> Result<Vec<StorageId>, CatalogError> {
    let places: Vec<Option<StorageId>> = nar_copy::Entity::find()
        .select_only()
        .column(nar_copy::Column::Storage)
        .filter(nar_copy::Column::Nar.eq(nar))
        .filter(nar_copy::Column::State.eq(stored(&CopyState::There)))
        .order_by_asc(nar_copy::Column::Id)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(places.into_iter().flatten().collect())
}

/// Returns all storages on which something may lie for these files, beside their homes.
pub(crate) async fn other_places(
    connection: &impl ConnectionTrait,
    nars: &[NarId],
) -> Result<HashMap<NarId, Vec<StorageId>>, CatalogError> {
    let copies = by_nar(rows_of(connection, nars).await?);
    Ok(copies
        .into_iter()
        .map(|(nar, rows)| (nar, rows.iter().filter_map(|row| row.storage).collect()))
        .collect())
}

/// A row for a further copy of a file, without a storage.
fn new_row(nar: &nar::Model, state: CopyState, exposure: i64) -> nar_copy::ActiveModel {
    nar_copy::ActiveModel {
        id: ActiveValue::NotSet,
        cache: ActiveValue::Set(nar.cache),
        nar: ActiveValue::Set(Some(nar.id)),
        storage: ActiveValue::Set(None),
        file_hash: ActiveValue::Set((*nar.file_hash).into()),
        compression: ActiveValue::Set((*nar.compression).into()),
        file_size: ActiveValue::Set((*nar.file_size).into()),
        state: ActiveValue::Set(state.into()),
        exposure: ActiveValue::Set(exposure),
        claimed_at: ActiveValue::Set(None),
        checked_at: ActiveValue::Set(None),
    }
}

/// Records that a file, which was just stored once, is to have so many further copies.
pub(crate) async fn want_copies(
    transaction: &DatabaseTransaction,
    nar: NarId,
    copies: u64,
) -> Result<(), CatalogError> {
    let known = rows_of(transaction, &[nar]).await?;
    let is_counted = |copy: &&nar_copy::Model| *copy.state != CopyState::Leaving;
    let known = i64::try_from(known.iter().filter(is_counted).count()).unwrap_or(i64::MAX);
    let copies = i64::try_from(copies).unwrap_or(i64::MAX);
    if known >= copies {
        return Ok(());
    }
    let Some(row) = nar::Entity::find_by_id(nar).one(transaction).await? else { return Ok(()) };
    let rows = (known..copies).map(|number| new_row(&row, CopyState::Wanted, number + 1));
    nar_copy::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(())
}

/// Takes the further copies of a file along when it gets a new row, whose home is `storage`.
pub(crate) async fn carry_over(
    transaction: &DatabaseTransaction,
    old: NarId,
    new: NarId,
    storage: StorageId,
) -> Result<(), CatalogError> {
    nar_copy::Entity::delete_many()
        .filter(nar_copy::Column::Nar.eq(old))
        .filter(nar_copy::Column::Storage.eq(storage))
        .exec(transaction)
        .await?;
    nar_copy::Entity::update_many()
        .col_expr(nar_copy::Column::Nar, new.into())
        .filter(nar_copy::Column::Nar.eq(old))
        .exec(transaction)
        .await?;
    Ok(())
}

impl From<nar_copy::Model> for CopyRecord {
    fn from(row: nar_copy::Model) -> Self {
        Self {
            id: row.id,
            nar: row.nar,
            storage: row.storage,
            file_hash: *row.file_hash,
            compression: *row.compression,
            file_size: row.file_size.get(),
            state: *row.state,
            checked_at: row.checked_at,
        }
    }
}
