//! Paths that a cache does not hold, and relies on all the same: a client that pushed was told that it may leave them out, because an
//! upstream has them, or the closure of a path needs them and an upstream, or another cache of this daemon, has them.
//!
//! They are watched: one that is gone makes the paths that need it incomplete (`closures.rs`).

use std::collections::HashMap;

use nix_formats::{StorePath, StorePathHash};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use crate::entity::field::{Field, stored};
use crate::entity::{path_elsewhere, reference, store_path, values};
use crate::gc::IN_LIST;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogChange, CatalogError, UnixTime, closures};

/// A path that was seen elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The path.
    pub path: StorePath,
    /// The URL of the upstream, or the name of the other cache.
    pub source: String,
    /// The other cache of this daemon that has it, if it is none of the upstreams.
    pub sister: Option<CacheId>,
}

/// A path that a cache relies on to be elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathElsewhere {
    /// The path.
    pub path: StorePath,
    /// The URL of the upstream, or the name of the other cache.
    pub source: String,
    /// When it was last looked for.
    pub looked_at: UnixTime,
    /// When it was first found to be gone.
    pub missing_since: Option<UnixTime>,
}

/// How many paths a cache relies on to be elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElsewhereCounts {
    /// Those that were there when they were last looked for.
    pub present: u64,
    /// Those that are gone.
    pub missing: u64,
}

impl Catalog {
    /// Notes that paths were seen elsewhere at this time. `is_relied_on` says whether somebody relies on that anew, as opposed to a look
    /// whether they are still there.
    pub async fn note_elsewhere(
        &self,
        cache: CacheId,
        seen: Vec<Seen>,
        now: UnixTime,
        is_relied_on: bool,
    ) -> Result<(), CatalogError> {
        if seen.is_empty() {
            return Ok(());
        }
        self.write((cache, seen, now, is_relied_on), |transaction, (cache, seen, now, is_relied_on)| {
            Box::pin(async move {
                note(transaction, *cache, seen, *now, *is_relied_on).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Notes that paths were looked for, or are to count as looked for, at this time.
    pub async fn looked_elsewhere(
        &self,
        cache: CacheId,
        hashes: Vec<StorePathHash>,
        at: UnixTime,
    ) -> Result<(), CatalogError> {
        self.write((cache, hashes, at), |transaction, (cache, hashes, at)| {
            Box::pin(async move {
                for some in hashes.chunks(IN_LIST) {
                    path_elsewhere::Entity::update_many()
                        .col_expr(path_elsewhere::Column::LookedAt, (*at).into())
                        .filter(path_elsewhere::Column::Cache.eq(*cache))
                        .filter(path_elsewhere::Column::Hash.is_in(some.iter().map(stored)))
                        .exec(transaction)
                        .await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Notes that paths are not elsewhere any more. Paths of the cache that need them become incomplete.
    pub async fn lost_elsewhere(
        &self,
        cache: CacheId,
        hashes: Vec<StorePathHash>,
        now: UnixTime,
    ) -> Result<(), CatalogError> {
        self.write((cache, hashes, now), |transaction, (cache, hashes, now)| {
            Box::pin(async move {
                for some in hashes.chunks(IN_LIST) {
                    path_elsewhere::Entity::update_many()
                        .col_expr(path_elsewhere::Column::MissingSince, (*now).into())
                        .filter(path_elsewhere::Column::Cache.eq(*cache))
                        .filter(path_elsewhere::Column::Hash.is_in(some.iter().map(stored)))
                        .filter(path_elsewhere::Column::MissingSince.is_null())
                        .exec(transaction)
                        .await?;
                }
                let changes = lost(transaction, *cache, hashes).await?;
                Ok(Written::with_changes((), changes))
            })
        })
        .await
    }

    /// Forgets paths that were found elsewhere.
    pub async fn forget_elsewhere(
        &self,
        cache: CacheId,
        hashes: Vec<StorePathHash>,
    ) -> Result<(), CatalogError> {
        self.write((cache, hashes), |transaction, (cache, hashes)| {
            Box::pin(async move {
                for some in hashes.chunks(IN_LIST) {
                    path_elsewhere::Entity::delete_many()
                        .filter(path_elsewhere::Column::Cache.eq(*cache))
                        .filter(path_elsewhere::Column::Hash.is_in(some.iter().map(stored)))
                        .exec(transaction)
                        .await?;
                }
                let changes = lost(transaction, *cache, hashes).await?;
                Ok(Written::with_changes((), changes))
            })
        })
        .await
    }

    /// Returns at most `limit` paths that were not looked for since `before`, the longest ago first.
    pub async fn not_looked_since(
        &self,
        cache: CacheId,
        before: UnixTime,
        limit: u64,
    ) -> Result<Vec<PathElsewhere>, CatalogError> {
        let rows = path_elsewhere::Entity::find()
            .filter(path_elsewhere::Column::Cache.eq(cache))
            .filter(path_elsewhere::Column::LookedAt.lt(before))
            .order_by_asc(path_elsewhere::Column::LookedAt)
            .limit(limit)
            .all(self.readers())
            .await?;
        rows.into_iter().map(PathElsewhere::try_from).collect()
    }

    /// Returns at most `limit` paths that upstreams have and the cache does not, after `after`, in the order of their hashes.
    pub async fn only_elsewhere(
        &self,
        cache: CacheId,
        after: Option<StorePathHash>,
        limit: u64,
    ) -> Result<Vec<PathElsewhere>, CatalogError> {
        let mut query = path_elsewhere::Entity::find()
            .filter(path_elsewhere::Column::Cache.eq(cache))
            .filter(path_elsewhere::Column::MissingSince.is_null())
            .filter(path_elsewhere::Column::Sister.is_null())
            .filter(Expr::exists(here(cache)).not());
        if let Some(after) = after {
            query = query.filter(path_elsewhere::Column::Hash.gt(stored(&after)));
        }
        let rows = query.order_by_asc(path_elsewhere::Column::Hash).limit(limit).all(self.readers()).await?;
        rows.into_iter().map(PathElsewhere::try_from).collect()
    }

    /// Returns at most `limit` paths that are gone from elsewhere, that the cache does not have, and that a path of it needs.
    pub async fn gone_elsewhere(
        &self,
        cache: CacheId,
        limit: u64,
    ) -> Result<Vec<PathElsewhere>, CatalogError> {
        let rows = path_elsewhere::Entity::find()
            .filter(path_elsewhere::Column::Cache.eq(cache))
            .filter(path_elsewhere::Column::MissingSince.is_not_null())
            .filter(Expr::exists(here(cache)).not())
            .order_by_desc(path_elsewhere::Column::MissingSince)
            .limit(limit)
            .all(self.readers())
            .await?;
        rows.into_iter().map(PathElsewhere::try_from).collect()
    }

    /// Returns the notes that nothing needs any more: of paths that the cache has by now, or that nothing there refers to and nobody has
    /// relied on since `before`.
    pub async fn needless_elsewhere(
        &self,
        cache: CacheId,
        before: UnixTime,
        limit: u64,
    ) -> Result<Vec<StorePathHash>, CatalogError> {
        let is_stale = path_elsewhere::Column::NotedAt.lt(before).and(Expr::exists(referrers(cache)).not());
        let rows: Vec<Field<path_elsewhere::Entity, StorePathHash>> = path_elsewhere::Entity::find()
            .select_only()
            .column(path_elsewhere::Column::Hash)
            .filter(path_elsewhere::Column::Cache.eq(cache))
            .filter(is_stale.or(Expr::exists(here(cache))))
            .limit(limit)
            .into_tuple()
            .all(self.readers())
            .await?;
        Ok(rows.into_iter().map(Field::into_inner).collect())
    }

    /// Returns the sources of the paths that a cache relies on.
    pub async fn elsewhere_sources(&self, cache: CacheId) -> Result<Vec<String>, CatalogError> {
        let sources = path_elsewhere::Entity::find()
            .select_only()
            .column(path_elsewhere::Column::Source)
            .distinct()
            .filter(path_elsewhere::Column::Cache.eq(cache))
            .into_tuple()
            .all(self.readers())
            .await?;
        Ok(sources)
    }

    /// Returns at most `limit` paths that a cache relies on from this source.
    pub async fn elsewhere_from(
        &self,
        cache: CacheId,
        source: &str,
        limit: u64,
    ) -> Result<Vec<StorePathHash>, CatalogError> {
        let rows: Vec<Field<path_elsewhere::Entity, StorePathHash>> = path_elsewhere::Entity::find()
            .select_only()
            .column(path_elsewhere::Column::Hash)
            .filter(path_elsewhere::Column::Cache.eq(cache))
            .filter(path_elsewhere::Column::Source.eq(source))
            .limit(limit)
            .into_tuple()
            .all(self.readers())
            .await?;
        Ok(rows.into_iter().map(Field::into_inner).collect())
    }

    /// Returns how many paths a cache relies on to be elsewhere.
    pub async fn elsewhere_counts(&self, cache: CacheId) -> Result<ElsewhereCounts, CatalogError> {
        let all = || path_elsewhere::Entity::find().filter(path_elsewhere::Column::Cache.eq(cache));
        let present =
            all().filter(path_elsewhere::Column::MissingSince.is_null()).count(self.readers()).await?;
        let missing = all()
            .filter(path_elsewhere::Column::MissingSince.is_not_null())
            .filter(Expr::exists(here(cache)).not())
            .count(self.readers())
            .await?;
        Ok(ElsewhereCounts { present, missing })
    }
}

/// Selects the path of the cache that was noted to be elsewhere.
fn here(cache: CacheId) -> sea_orm::sea_query::SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(store_path::Entity)
        .and_where(store_path::Column::Cache.eq(cache))
        .and_where(
            Expr::col((store_path::Entity, store_path::Column::Hash))
                .equals((path_elsewhere::Entity, path_elsewhere::Column::Hash)),
        )
        .take()
}

/// Selects the references of the cache to the path that was noted to be elsewhere.
fn referrers(cache: CacheId) -> sea_orm::sea_query::SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(reference::Entity)
        .inner_join(
            store_path::Entity,
            Expr::col((store_path::Entity, store_path::Column::Id))
                .equals((reference::Entity, reference::Column::Path)),
        )
        .and_where(store_path::Column::Cache.into_expr().add(0).eq(cache))
        .and_where(
            Expr::col((reference::Entity, reference::Column::Hash))
                .equals((path_elsewhere::Entity, path_elsewhere::Column::Hash)),
        )
        .take()
}

async fn note(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    seen: &[Seen],
    now: UnixTime,
    is_relied_on: bool,
) -> Result<(), CatalogError> {
    let mut update = vec![
        path_elsewhere::Column::Source,
        path_elsewhere::Column::Sister,
        path_elsewhere::Column::LookedAt,
        path_elsewhere::Column::MissingSince,
    ];
    if is_relied_on {
        update.push(path_elsewhere::Column::NotedAt);
    }
    // The same path twice in one statement is an error of PostgreSQL.
    let unique: HashMap<StorePathHash, &Seen> = seen.iter().map(|seen| (*seen.path.hash(), seen)).collect();
    let unique: Vec<(StorePathHash, &Seen)> = unique.into_iter().collect();
    for some in unique.chunks(IN_LIST) {
        let rows = some.iter().map(|(hash, seen)| path_elsewhere::ActiveModel {
            cache: ActiveValue::Set(cache),
            hash: ActiveValue::Set((*hash).into()),
            name: ActiveValue::Set(seen.path.name().to_owned()),
            source: ActiveValue::Set(seen.source.clone()),
            sister: ActiveValue::Set(seen.sister),
            noted_at: ActiveValue::Set(now),
            looked_at: ActiveValue::Set(now),
            missing_since: ActiveValue::Set(None),
        });
        path_elsewhere::Entity::insert_many(rows)
            .on_conflict(
                OnConflict::columns([path_elsewhere::Column::Cache, path_elsewhere::Column::Hash])
                    .update_columns(update.clone())
                    .to_owned(),
            )
            .exec_without_returning(transaction)
            .await?;
    }
    closures::gained(transaction, cache, unique.into_iter().map(|(hash, _)| hash).collect()).await
}

/// Marks what needs these paths, unless the cache has them.
async fn lost(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    hashes: &[StorePathHash],
) -> Result<Vec<CatalogChange>, CatalogError> {
    let present = closures::served_of(transaction, cache, hashes).await?;
    let gone = hashes.iter().copied().filter(|hash| !present.contains(hash)).collect();
    closures::lost(transaction, cache, gone).await
}

impl TryFrom<path_elsewhere::Model> for PathElsewhere {
    type Error = CatalogError;

    fn try_from(row: path_elsewhere::Model) -> Result<Self, CatalogError> {
        Ok(Self {
            path: values::store_path::<path_elsewhere::Entity>("name", *row.hash, &row.name)?,
            source: row.source,
            looked_at: row.looked_at,
            missing_since: row.missing_since,
        })
    }
}

/// Returns the paths of a cache that other caches of the daemon rely on, each with the name of such a cache. With `only`, those of these
/// hashes.
pub(crate) async fn needed_by_sisters(
    connection: &impl ConnectionTrait,
    cache: CacheId,
    only: Option<&[StorePathHash]>,
) -> Result<HashMap<StorePathHash, String>, CatalogError> {
    use crate::entity::cache;
    let all = path_elsewhere::Entity::find().filter(path_elsewhere::Column::Sister.eq(cache));
    let mut rows = Vec::new();
    match only {
        None => rows = all.all(connection).await?,
        Some(hashes) => {
            for some in hashes.chunks(IN_LIST) {
                let of = path_elsewhere::Column::Hash.is_in(some.iter().map(stored));
                rows.extend(all.clone().filter(of).all(connection).await?);
            }
        }
    }
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let names: HashMap<CacheId, String> =
        cache::Entity::find().all(connection).await?.into_iter().map(|row| (row.id, row.name)).collect();
    let named = |row: path_elsewhere::Model| Some((*row.hash, names.get(&row.cache)?.clone()));
    Ok(rows.into_iter().filter_map(named).collect())
}
