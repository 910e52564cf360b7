//! Caches. The configuration declares them; the catalog gives them ids and keeps those that are no longer declared.

use std::collections::HashMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
};

use crate::entity::cache;
use crate::writer::Written;
use crate::{CacheId, CacheRecord, Catalog, CatalogError, UnixTime};

/// A cache as the configuration declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredCache {
    /// The name of the cache, unique.
    pub name: String,
    /// Whether anyone may read the cache.
    pub public: bool,
    /// Whether the cache is served.
    pub enabled: bool,
}

impl Catalog {
    /// Reconciles the caches with the configuration: adds new ones, updates known ones and disables the rest. Removes
    /// nothing. Returns all caches by name, including undeclared ones. Writes only what differs, so a daemon starts with a
    /// catalog that it can only read.
    pub async fn reconcile_caches(
        &self,
        declared: &[DeclaredCache],
    ) -> Result<Vec<CacheRecord>, CatalogError> {
        let known = all(self.readers()).await?;
        if agrees(&known, declared) {
            return Ok(known);
        }
        self.write(declared.to_vec(), |transaction, declared| {
            Box::pin(reconcile_caches(transaction, declared))
        })
        .await
    }

    /// Saves the state of a cache's storage strategy in a format of the caller. A commit saves it together with the path:
    /// see [`crate::PathCommit::turns`].
    pub async fn save_turns(&self, cache: CacheId, turns: String) -> Result<(), CatalogError> {
        self.write((cache, turns), |transaction, (cache, turns)| {
            Box::pin(async move { save_turns(transaction, *cache, turns).await.map(Written::quietly) })
        })
        .await
    }
}

pub(crate) async fn save_turns(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    turns: &str,
) -> Result<(), CatalogError> {
    cache::Entity::update_many()
        .col_expr(cache::Column::Turns, turns.into())
        .filter(cache::Column::Id.eq(cache))
        .exec(transaction)
        .await?;
    Ok(())
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
        turns: ActiveValue::Set(String::new()),
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
    Ok(Written::quietly(all(transaction).await?))
}

async fn all(connection: &impl ConnectionTrait) -> Result<Vec<CacheRecord>, CatalogError> {
    Ok(cache::Entity::find().order_by_asc(cache::Column::Name).all(connection).await?)
}

/// Whether the catalog has exactly the declared caches, and all others are disabled.
fn agrees(known: &[CacheRecord], declared: &[DeclaredCache]) -> bool {
    let declared: HashMap<&str, &DeclaredCache> =
        declared.iter().map(|cache| (cache.name.as_str(), cache)).collect();
    let mut found = 0;
    let all_agree = known.iter().all(|known| match declared.get(known.name.as_str()) {
        Some(declared) => {
            found += 1;
            known.enabled == declared.enabled && known.public == declared.public
        }
        None => !known.enabled,
    });
    all_agree && found == declared.len()
}
