//! The storages of caches. The configuration declares them; the catalog gives them ids and keeps those that are no longer
//! declared. The paths on those are hidden until they are declared again.

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::{OnConflict, SelectStatement};
use sea_orm::{
    ActiveValue, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
};

use crate::entity::{nar, storage};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogChange, CatalogError, StorageId, StorageRecord, closures, copies};

/// A storage of a cache as the configuration declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredStorage {
    /// The cache that uses it.
    pub cache: CacheId,
    /// Its name, unique within the cache.
    pub name: String,
    /// The kind of storage, such as `local`.
    pub kind: String,
    /// Its directory or URL.
    pub location: String,
}

impl Catalog {
    /// Reconciles the storages of all caches with the configuration, as [`Catalog::reconcile_caches`] does for caches.
    /// Returns all storages by cache and name, including undeclared ones.
    ///
    /// If that hides or reveals the paths of a storage, other daemons on the database receive [`CatalogChange::Resync`].
    pub async fn reconcile_storages(
        &self,
        declared: &[DeclaredStorage],
    ) -> Result<Vec<StorageRecord>, CatalogError> {
        let known = all(self.readers()).await?;
        if agrees(&known, declared) {
            return Ok(known);
        }
        self.write(declared.to_vec(), |transaction, declared| {
            Box::pin(reconcile_storages(transaction, declared))
        })
        .await
    }

    /// Records the id in the marker file of a local storage.
    pub async fn set_storage_marker(&self, storage: StorageId, marker: String) -> Result<(), CatalogError> {
        let known = storage::Entity::find_by_id(storage).one(self.readers()).await?;
        if known.is_some_and(|known| known.marker.as_ref() == Some(&marker)) {
            return Ok(());
        }
        self.write((storage, marker), |transaction, (storage, marker)| {
            Box::pin(async move {
                storage::Entity::update_many()
                    .col_expr(storage::Column::Marker, marker.as_str().into())
                    .filter(storage::Column::Id.eq(*storage))
                    .exec(transaction)
                    .await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}

impl Catalog {
    /// Returns the storages of a cache and whether each is enabled.
    pub(crate) async fn storage_states(
        &self,
        cache: CacheId,
    ) -> Result<HashMap<StorageId, bool>, CatalogError> {
        let storages = Storages::of(self.readers(), cache).await?;
        Ok(storages.all().map(|storage| (storage, storages.is_enabled(storage))).collect())
    }
}

async fn reconcile_storages(
    transaction: &DatabaseTransaction,
    declared: &[DeclaredStorage],
) -> Result<Written<Vec<StorageRecord>>, CatalogError> {
    let before: HashMap<_, _> =
        all(transaction).await?.into_iter().map(|storage| (storage.id, storage.enabled)).collect();
    let rows = declared.iter().map(|declared| storage::ActiveModel {
        id: ActiveValue::NotSet,
        cache: ActiveValue::Set(declared.cache),
        name: ActiveValue::Set(declared.name.clone()),
        kind: ActiveValue::Set(declared.kind.clone()),
        enabled: ActiveValue::Set(true),
        marker: ActiveValue::Set(None),
        location: ActiveValue::Set(Some(declared.location.clone())),
    });
    storage::Entity::insert_many(rows)
        .on_conflict(
            OnConflict::columns([storage::Column::Cache, storage::Column::Name])
                .update_columns([storage::Column::Kind, storage::Column::Enabled, storage::Column::Location])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await?;

    let keep: HashSet<_> = declared.iter().map(|storage| (storage.cache, storage.name.as_str())).collect();
    let mut storages = all(transaction).await?;
    let mut vanished = Vec::new();
    for storage in &mut storages {
        if !keep.contains(&(storage.cache, storage.name.as_str())) {
            storage.enabled = false;
            vanished.push(storage.id);
        }
    }
    storage::Entity::update_many()
        .col_expr(storage::Column::Enabled, false.into())
        .filter(storage::Column::Id.is_in(vanished))
        .exec(transaction)
        .await?;

    // What has a copy elsewhere does not disappear with a storage.
    for vanished in storages.iter().filter(|storage| !storage.enabled) {
        if before.get(&vanished.id) == Some(&true) {
            let enabled = storages.iter().filter(|other| other.enabled && other.cache == vanished.cache);
            let enabled: Vec<StorageId> = enabled.map(|other| other.id).collect();
            copies::leave_storage(transaction, vanished.id, &enabled).await?;
        }
    }

    let turned =
        |storage: &StorageRecord| before.get(&storage.id).is_some_and(|&enabled| enabled != storage.enabled);
    let turned: HashSet<CacheId> =
        storages.iter().filter(|storage| turned(storage)).map(|storage| storage.cache).collect();
    for cache in &turned {
        closures::recount(transaction, *cache).await?;
    }
    let changes = if turned.is_empty() { Vec::new() } else { vec![CatalogChange::Resync] };
    Ok(Written::with_changes(storages, changes))
}

async fn all(connection: &impl ConnectionTrait) -> Result<Vec<StorageRecord>, CatalogError> {
    let rows = storage::Entity::find()
        .order_by_asc(storage::Column::Cache)
        .order_by_asc(storage::Column::Name)
        .all(connection)
        .await?;
    Ok(rows)
}

/// Whether the catalog has exactly the declared storages, and all others are disabled.
fn agrees(known: &[StorageRecord], declared: &[DeclaredStorage]) -> bool {
    let declared: HashMap<(CacheId, &str), &DeclaredStorage> =
        declared.iter().map(|storage| ((storage.cache, storage.name.as_str()), storage)).collect();
    let mut found = 0;
    let all_agree = known.iter().all(|known| match declared.get(&(known.cache, known.name.as_str())) {
        Some(declared) => {
            found += 1;
            known.enabled
                && known.kind == declared.kind
                && known.location.as_deref() == Some(declared.location.as_str())
        }
        None => !known.enabled,
    });
    all_agree && found == declared.len()
}

/// Returns a query for the ids of the disabled storages of all caches.
pub(crate) fn disabled_storages() -> SelectStatement {
    storage::Entity::find()
        .select_only()
        .column(storage::Column::Id)
        .filter(storage::Column::Enabled.eq(false))
        .into_query()
}

/// The enabled and disabled storages of one cache. Queries list their ids, because there are few and NAR files are indexed by
/// storage.
pub(crate) struct Storages {
    enabled: Vec<StorageId>,
    disabled: Vec<StorageId>,
}

impl Storages {
    pub(crate) async fn of(connection: &impl ConnectionTrait, cache: CacheId) -> Result<Self, CatalogError> {
        let storages: Vec<(StorageId, bool)> = storage::Entity::find()
            .select_only()
            .columns([storage::Column::Id, storage::Column::Enabled])
            .filter(storage::Column::Cache.eq(cache))
            .into_tuple()
            .all(connection)
            .await?;
        let ids = |wanted| {
            storages.iter().filter(move |(_, enabled)| *enabled == wanted).map(|(id, _)| *id).collect()
        };
        Ok(Self { enabled: ids(true), disabled: ids(false) })
    }

    pub(crate) fn is_enabled(&self, storage: StorageId) -> bool {
        self.enabled.contains(&storage)
    }

    /// Returns the enabled storages.
    pub(crate) fn enabled(&self) -> impl Iterator<Item = StorageId> + use<'_> {
        self.enabled.iter().copied()
    }

    /// Returns all storages, enabled or not.
    pub(crate) fn all(&self) -> impl Iterator<Item = StorageId> + use<'_> {
        self.enabled.iter().chain(&self.disabled).copied()
    }

    /// Returns a condition that selects NAR files whose paths are visible.
    pub(crate) fn showing(&self) -> Condition {
        Condition::all()
            .add(nar::Column::Storage.is_in(self.enabled.iter().copied()))
            .add(nar::Column::Damaged.eq(false))
    }

    /// Returns a condition that selects NAR files whose paths are hidden.
    pub(crate) fn hiding(&self) -> Condition {
        let damaged = Condition::all()
            .add(nar::Column::Storage.is_in(self.enabled.iter().copied()))
            .add(nar::Column::Damaged.eq(true));
        if self.disabled.is_empty() {
            return damaged;
        }
        Condition::any().add(damaged).add(nar::Column::Storage.is_in(self.disabled.iter().copied()))
    }
}
