//! Caches and their storages. The configuration declares them; the catalog gives them ids and remembers those that the
//! configuration no longer names.

use std::collections::HashSet;

use sea_orm::sea_query::{OnConflict, SelectStatement};
use sea_orm::{
    ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};

use crate::entity::{cache, storage};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, StorageId, UnixTime};

/// A cache as the configuration declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredCache {
    /// The name of the cache, unique.
    pub name: String,
    /// Whether anyone may read it.
    pub public: bool,
    /// Whether it is served.
    pub enabled: bool,
}

/// A cache as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRecord {
    /// Its row.
    pub id: CacheId,
    /// The name of the cache, unique.
    pub name: String,
    /// Whether it is declared and enabled there.
    pub enabled: bool,
    /// Whether anyone may read it.
    pub public: bool,
    /// When it was first declared.
    pub created_at: UnixTime,
}

/// A storage of a cache as the configuration declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredStorage {
    /// The cache that uses it.
    pub cache: CacheId,
    /// Its name, unique within the cache.
    pub name: String,
    /// The kind of storage, such as `local`.
    pub kind: String,
}

/// A storage of a cache as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageRecord {
    /// Its row.
    pub id: StorageId,
    /// The cache that uses it.
    pub cache: CacheId,
    /// Its name, unique within the cache.
    pub name: String,
    /// The kind of storage, such as `local`.
    pub kind: String,
    /// Whether it is declared.
    pub enabled: bool,
}

impl Catalog {
    /// Makes the caches agree with the configuration: adds new ones, updates known ones, disables the others. Removes
    /// nothing. Returns all caches, also those that are not declared, by name.
    pub async fn reconcile_caches(
        &self,
        declared: &[DeclaredCache],
    ) -> Result<Vec<CacheRecord>, CatalogError> {
        self.write(declared.to_vec(), |transaction, declared| {
            Box::pin(reconcile_caches(transaction, declared))
        })
        .await
    }

    /// Makes the storages of all caches agree with the configuration, as [`Catalog::reconcile_caches`] does for caches.
    /// Returns all storages, also those that are not declared, by cache and name.
    pub async fn reconcile_storages(
        &self,
        declared: &[DeclaredStorage],
    ) -> Result<Vec<StorageRecord>, CatalogError> {
        self.write(declared.to_vec(), |transaction, declared| {
            Box::pin(reconcile_storages(transaction, declared))
        })
        .await
    }
}

async fn reconcile_caches(
    transaction: &DatabaseTransaction,
    declared: &[DeclaredCache],
) -> Result<Written<Vec<CacheRecord>>, CatalogError> {
    let now = UnixTime::now();
    let names = declared.iter().map(|cache| cache.name.as_str());
    let rows = declared.iter().map(|declared| cache::ActiveModel {
        id: ActiveValue::NotSet,
        name: ActiveValue::Set(declared.name.clone()),
        enabled: ActiveValue::Set(declared.enabled),
        public: ActiveValue::Set(declared.public),
        created_at: ActiveValue::Set(now),
    });
    cache::Entity::insert_many(rows)
        .on_conflict(
            OnConflict::column(cache::Column::Name)
                .update_columns([cache::Column::Enabled, cache::Column::Public])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await?;
    cache::Entity::update_many()
        .col_expr(cache::Column::Enabled, false.into())
        .filter(cache::Column::Name.is_not_in(names))
        .exec(transaction)
        .await?;
    let caches = cache::Entity::find().order_by_asc(cache::Column::Name).all(transaction).await?;
    Ok(Written::quietly(caches.into_iter().map(CacheRecord::from).collect()))
}

async fn reconcile_storages(
    transaction: &DatabaseTransaction,
    declared: &[DeclaredStorage],
) -> Result<Written<Vec<StorageRecord>>, CatalogError> {
    let keep: HashSet<_> = declared.iter().map(|storage| (storage.cache, storage.name.as_str())).collect();
    let rows = declared.iter().map(|declared| storage::ActiveModel {
        id: ActiveValue::NotSet,
        cache: ActiveValue::Set(declared.cache),
        name: ActiveValue::Set(declared.name.clone()),
        kind: ActiveValue::Set(declared.kind.clone()),
        enabled: ActiveValue::Set(true),
    });
    storage::Entity::insert_many(rows)
        .on_conflict(
            OnConflict::columns([storage::Column::Cache, storage::Column::Name])
                .update_columns([storage::Column::Kind, storage::Column::Enabled])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await?;

    let mut storages: Vec<_> = storage::Entity::find()
        .order_by_asc(storage::Column::Cache)
        .order_by_asc(storage::Column::Name)
        .all(transaction)
        .await?
        .into_iter()
        .map(StorageRecord::from)
        .collect();
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
    Ok(Written::quietly(storages))
}

/// A query for the ids of all storages of a cache: NAR files are indexed by storage.
pub(crate) fn storages_of(cache: CacheId) -> SelectStatement {
    storage::Entity::find()
        .select_only()
        .column(storage::Column::Id)
        .filter(storage::Column::Cache.eq(cache))
        .into_query()
}

impl From<cache::Model> for CacheRecord {
    fn from(row: cache::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            enabled: row.enabled,
            public: row.public,
            created_at: row.created_at,
        }
    }
}

impl From<storage::Model> for StorageRecord {
    fn from(row: storage::Model) -> Self {
        Self { id: row.id, cache: row.cache, name: row.name, kind: row.kind, enabled: row.enabled }
    }
}
