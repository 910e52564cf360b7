//! Copies that move between tiers: which files nobody has read for long, claims for copies that are not missed, and giving up the copy on
//! a fast tier once slower ones have the file.

use nix_formats::StorePathHash;
use sea_orm::sea_query::{Query, SelectStatement};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use super::home::swap;
use super::{CopyState, CopyToMake, NOT_MISSED, nars_by_id, new_row, removal, rows_of};
use crate::entity::field::stored;
use crate::entity::{nar, nar_copy, store_path};
use crate::paths::paths_of;
use crate::writer::Written;
use crate::{
    Catalog, CatalogChange, CatalogError, CopyId, NarId, NarRecord, PathChange, StorageId, UnixTime,
};

/// A file on a storage, and when a path that needs it was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedFile {
    /// The file.
    pub nar: NarRecord,
    /// When one of its paths was last used.
    pub last_used: UnixTime,
}

/// What has to be elsewhere before a storage may give up its copy of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The file.
    pub nar: NarId,
    /// The storage that gives up its copy.
    pub from: StorageId,
    /// How many sound copies there have to be on other storages.
    pub copies: u64,
    /// The storages on which these count.
    pub slower: Vec<StorageId>,
    /// The storages of which one has to have a copy. None if any will do.
    pub durable: Vec<StorageId>,
}

/// What came of a [`Release`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// The copy is to be removed. These paths need the file.
    Leaving(Vec<StorePathHash>),
    /// There are not enough copies on slower storages yet.
    Short,
    /// The storage has no sound copy of the file, or the cache does not have it any more.
    Gone,
}

impl Catalog {
    /// Returns at most `limit` files on a storage that were last used before a time, the least recently used first. Further copies
    /// count as well. Reads the entries of the storage and of all paths there.
    pub async fn least_recently_used(
        &self,
        storage: StorageId,
        before: UnixTime,
        limit: u64,
    ) -> Result<Vec<UsedFile>, CatalogError> {
        let homes = Query::select()
            .column(nar::Column::Id)
            .from(nar::Entity)
            .and_where(nar::Column::Storage.eq(storage))
            .and_where(nar::Column::Damaged.eq(false))
            .take();
        let copies = Query::select()
            .column(nar_copy::Column::Nar)
            .from(nar_copy::Entity)
            .and_where(nar_copy::Column::Storage.eq(storage))
            .and_where(nar_copy::Column::State.eq(stored(&CopyState::There)))
            .and_where(nar_copy::Column::Nar.is_not_null())
            .take();
        let mut used = self.last_uses(homes, before, limit).await?;
        used.extend(self.last_uses(copies, before, limit).await?);
        used.sort_unstable_by_key(|(nar, at)| (*at, *nar));
        used.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let ids: Vec<NarId> = used.iter().map(|(nar, _)| *nar).collect();
        let nars = nars_by_id(self.readers(), &ids).await?;
        let file = |(id, at): (NarId, i64)| {
            let nar = nars.iter().find(|nar| nar.id == id)?;
            Some(UsedFile { nar: nar.clone().into(), last_used: UnixTime(at) })
        };
        Ok(used.into_iter().filter_map(file).collect())
    }

    async fn last_uses(
        &self,
        files: SelectStatement,
        before: UnixTime,
        limit: u64,
    ) -> Result<Vec<(NarId, i64)>, CatalogError> {
        let last_use = || store_path::Column::LastUsedAt.max();
        let used = store_path::Entity::find()
            .select_only()
            .column(store_path::Column::Nar)
            .expr(last_use())
            .filter(store_path::Column::Nar.in_subquery(files))
            .group_by(store_path::Column::Nar)
            .having(last_use().lt(before))
            .order_by_asc(last_use())
            .limit(limit)
            .into_tuple()
            .all(self.readers())
            .await?;
        Ok(used)
    }

    /// Claims copies of files on storages that nobody misses. Returns those that are to be made: a storage may have a copy, be about to
    /// have one or to remove one, and a file may be damaged or gone.
    pub async fn claim_copies(
        &self,
        copies: Vec<(NarId, StorageId)>,
        now: UnixTime,
    ) -> Result<Vec<CopyToMake>, CatalogError> {
        if copies.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = self
            .write((copies, now), |transaction, (copies, now)| {
                Box::pin(async move {
                    let mut claimed = Vec::with_capacity(copies.len());
                    for (nar, storage) in copies.iter() {
                        claimed.extend(claim(transaction, *nar, *storage, *now).await?);
                    }
                    Ok(Written::quietly(claimed))
                })
            })
            .await?;
        let mut rows = Vec::with_capacity(claimed.len());
        for copy in claimed {
            rows.extend(nar_copy::Entity::find_by_id(copy).one(self.readers()).await?);
        }
        self.describe(rows).await
    }

    /// Gives up copies on a fast storage, if slower ones have the files. If that was the home of a file, one of these becomes it.
    pub async fn release_copies(&self, releases: Vec<Release>) -> Result<Vec<Released>, CatalogError> {
        if releases.is_empty() {
            return Ok(Vec::new());
        }
        self.write(releases, |transaction, releases| {
            Box::pin(async move {
                let (mut released, mut changes) = (Vec::with_capacity(releases.len()), Vec::new());
                for release in releases.iter() {
                    released.push(give_up(transaction, release, &mut changes).await?);
                }
                Ok(Written::with_changes(released, changes))
            })
        })
        .await
    }
}

async fn claim(
    transaction: &DatabaseTransaction,
    nar: NarId,
    storage: StorageId,
    now: UnixTime,
) -> Result<Option<CopyId>, CatalogError> {
    let Some(row) = nar::Entity::find_by_id(nar).one(transaction).await? else { return Ok(None) };
    if row.damaged
        || row.storage == storage
        || !removal::make_way(transaction, storage, &row.file_hash).await?
    {
        return Ok(None);
    }
    let copy = nar_copy::ActiveModel {
        storage: ActiveValue::Set(Some(storage)),
        claimed_at: ActiveValue::Set(Some(now)),
        ..new_row(&row, CopyState::Copying, NOT_MISSED)
    };
    let copy = nar_copy::Entity::insert(copy).exec(transaction).await?;
    Ok(Some(copy.last_insert_id))
}

async fn give_up(
    transaction: &DatabaseTransaction,
    release: &Release,
    changes: &mut Vec<CatalogChange>,
) -> Result<Released, CatalogError> {
    let Some(nar) = nar::Entity::find_by_id(release.nar).one(transaction).await? else {
        return Ok(Released::Gone);
    };
    let copies = rows_of(transaction, &[nar.id]).await?;
    let sound: Vec<_> = copies.iter().filter(|copy| *copy.state == CopyState::There).collect();
    let is_home = nar.storage == release.from;
    let given_up = sound.iter().find(|copy| copy.storage == Some(release.from));
    if nar.damaged || (!is_home && given_up.is_none()) {
        return Ok(Released::Gone);
    }
    let counts = |storage: &StorageId| release.slower.contains(storage);
    let places: Vec<StorageId> = sound
        .iter()
        .filter_map(|copy| copy.storage)
        .chain([nar.storage])
        .filter(|storage| counts(storage))
        .collect();
    let is_durable = |storage: &StorageId| release.durable.contains(storage);
    let has_durable = release.durable.is_empty() || places.iter().any(is_durable);
    if (places.len() as u64) < Ord::max(release.copies, 1) || !has_durable {
        return Ok(Released::Short);
    }
    let slower = || sound.iter().filter(|copy| copy.storage.is_some_and(|storage| counts(&storage)));
    let leaving = match given_up {
        Some(copy) => copy.id,
        None => {
            let durable = slower().find(|copy| copy.storage.is_some_and(|storage| is_durable(&storage)));
            let Some(heir) = durable.or_else(|| slower().next()) else { return Ok(Released::Short) };
            swap(transaction, &nar, heir, sound.len() as i64).await?;
            heir.id
        }
    };
    let row = nar_copy::ActiveModel {
        id: ActiveValue::Unchanged(leaving),
        state: ActiveValue::Set(CopyState::Leaving.into()),
        claimed_at: ActiveValue::Set(None),
        ..Default::default()
    };
    row.update(transaction).await?;
    let paths = paths_of(transaction, nar.id).await?;
    changes.extend(paths.iter().map(|path| path.change(PathChange::Updated)));
    Ok(Released::Leaving(paths.iter().map(|path| path.hash).collect()))
}
