//! Changes to committed paths.

use std::collections::HashMap;

use nix_formats::StorePathHash;
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};

use super::load::{self, IN_LIST};
use super::unpublished;
use crate::copies::Saved;
use crate::entity::field::stored;
use crate::entity::values::Signatures;
use crate::entity::{nar, store_path};
use crate::writer::Written;
use crate::{
    CacheId, Catalog, CatalogChange, CatalogError, NarId, PathChange, StorageId, UnixTime, closures, copies,
};

impl Catalog {
    /// Records that a NAR file is missing or changed on a storage. If there is no sound copy elsewhere, that hides the paths
    /// that need it. A file that was healed by another push, or moved, has a new id: a late report about its old id changes
    /// nothing.
    pub async fn mark_damaged(&self, nar: NarId, storage: StorageId) -> Result<Damage, CatalogError> {
        self.write((nar, storage), |transaction, (nar, storage)| {
            Box::pin(mark_damaged(transaction, *nar, *storage))
        })
        .await
    }

    /// Adds the signatures (`name:base64`) that the path does not have yet, and schedules its narinfo to be published again.
    /// Returns whether any were added, which is false if the path does not exist.
    pub async fn add_signatures(
        &self,
        cache: CacheId,
        hash: StorePathHash,
        signatures: Vec<String>,
    ) -> Result<bool, CatalogError> {
        self.write((cache, hash, signatures), |transaction, (cache, hash, signatures)| {
            Box::pin(add_signatures(transaction, *cache, hash, signatures))
        })
        .await
    }

    /// Records when paths were used. A time before the recorded one, or a path that does not exist, changes nothing.
    pub async fn touch(&self, uses: Vec<(CacheId, StorePathHash, UnixTime)>) -> Result<(), CatalogError> {
        let mut by_time: HashMap<_, Vec<_>> = HashMap::new();
        for (cache, hash, time) in uses {
            by_time.entry((cache, time)).or_default().push(hash);
        }
        for ((cache, time), mut hashes) in by_time {
            while !hashes.is_empty() {
                // One command each, so that a large flush does not delay a commit.
                let some = hashes.split_off(hashes.len().saturating_sub(IN_LIST));
                self.write((cache, time, some), |transaction, (cache, time, hashes)| {
                    Box::pin(touch(transaction, *cache, *time, hashes))
                })
                .await?;
            }
        }
        Ok(())
    }
}

/// What a report of damage came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// No sound copy is left. These paths need the file and are hidden, even if they were so before.
    Hidden(Vec<StorePathHash>),
    /// Another copy takes its place, from which these paths are served, and the damaged one is to be replaced.
    Saved(Vec<StorePathHash>),
    /// Nobody counts on the file at this place.
    Unconcerned,
}

async fn mark_damaged(
    transaction: &DatabaseTransaction,
    nar: NarId,
    storage: StorageId,
) -> Result<Written<Damage>, CatalogError> {
    match copies::save_from_damage(transaction, nar, storage).await? {
        Saved::No => {}
        Saved::Unconcerned => return Ok(Written::quietly(Damage::Unconcerned)),
        Saved::ByCopy => {
            let paths = load::paths_of(transaction, nar).await?;
            let changes = paths.iter().map(|path| path.change(PathChange::Updated)).collect();
            let paths = paths.into_iter().map(|path| path.hash).collect();
            return Ok(Written::with_changes(Damage::Saved(paths), changes));
        }
    }
    nar::Entity::update_many()
        .col_expr(nar::Column::Damaged, true.into())
        .filter(nar::Column::Id.eq(nar))
        .exec(transaction)
        .await?;
    let paths = load::paths_of(transaction, nar).await?;
    let mut changes: Vec<_> = paths.iter().map(|path| path.change(PathChange::Hidden)).collect();
    let cache = paths.first().map(|path| path.cache);
    let paths: Vec<StorePathHash> = paths.into_iter().map(|path| path.hash).collect();
    // A file belongs to one cache.
    if let Some(cache) = cache {
        changes.extend(closures::lost(transaction, cache, paths.clone()).await?);
    }
    Ok(Written::with_changes(Damage::Hidden(paths), changes))
}

async fn add_signatures(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    hash: &StorePathHash,
    signatures: &[String],
) -> Result<Written<bool>, CatalogError> {
    let Some(row) = store_path::Entity::find()
        .filter(store_path::Column::Cache.eq(cache))
        .filter(store_path::Column::Hash.eq(stored(hash)))
        .one(transaction)
        .await?
    else {
        return Ok(Written::quietly(false));
    };
    let mut all = row.signatures.into_inner().into_vec();
    let before = all.len();
    for signature in signatures {
        if !all.contains(signature) {
            all.push(signature.clone());
        }
    }
    if all.len() == before {
        return Ok(Written::quietly(false));
    }
    store_path::ActiveModel {
        id: ActiveValue::Unchanged(row.id),
        signatures: ActiveValue::Set(Signatures::new(all)?.into()),
        ..Default::default()
    }
    .update(transaction)
    .await?;
    unpublished::insert_again(transaction, &[row.id]).await?;
    let change = CatalogChange::Path { cache, path: *hash, change: PathChange::Updated };
    Ok(Written::with_changes(true, vec![change]))
}

/// Records that paths were used at this time.
pub(crate) async fn touch(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    time: UnixTime,
    hashes: &[StorePathHash],
) -> Result<Written<()>, CatalogError> {
    store_path::Entity::update_many()
        .col_expr(store_path::Column::LastUsedAt, time.into())
        .filter(store_path::Column::Cache.eq(cache))
        .filter(store_path::Column::Hash.is_in(hashes.iter().map(stored)))
        .filter(store_path::Column::LastUsedAt.lt(time))
        .exec(transaction)
        .await?;
    Ok(Written::quietly(()))
}
