//! Whether the closure of a path is complete: whether clients can get everything that the path refers to, directly or not.
//!
//! A path is *complete* if each of its references is a visible, complete path of the same cache, or is noted to be elsewhere
//! (`elsewhere.rs`). A path that is not carries one of the references that stand in the way, in `missing_reference`. So a reader finds out
//! without walking the closure, and whoever makes a path complete, or takes one away, only looks at those that wait for it or refer to it:
//! this is done in the transaction that commits, restores, damages or removes the path.
//!
//! References in a circle, which Nix never makes, stay incomplete.

use std::collections::HashSet;

use nix_formats::{StorePath, StorePathHash};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, JoinType, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, RelationTrait, Statement,
};

use crate::database::positional;
use crate::entity::field::{Field, stored};
use crate::entity::{nar, path_elsewhere, reference, storage, store_path, values};
use crate::gc::IN_LIST;
use crate::{CacheId, Catalog, CatalogChange, CatalogError, PathChange, PathId};

/// A path whose closure is incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncompletePath {
    /// The path.
    pub path: StorePath,
    /// One of its references that stand in the way.
    pub missing: StorePathHash,
}

/// Something that a closure lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The path that is not to be had.
    pub path: StorePath,
    /// The path of the closure that refers to it.
    pub referrer: StorePath,
    /// Whether the cache has it, but hides it because its file is damaged or on a disabled storage.
    pub is_hidden: bool,
}

/// Marks the paths of a cache that refer to something that clients cannot get. Takes the cache twice.
const MARK_FIRST: &str = "UPDATE store_path SET missing_reference = \
    (SELECT r.hash FROM reference AS r WHERE r.path = store_path.id AND r.hash <> store_path.hash \
     AND NOT EXISTS (SELECT 1 FROM store_path AS t JOIN nar AS n ON n.id = t.nar JOIN storage AS s ON s.id = n.storage \
        WHERE t.cache = store_path.cache AND t.hash = r.hash AND NOT n.damaged AND s.enabled) \
     AND NOT EXISTS (SELECT 1 FROM path_elsewhere AS e \
        WHERE e.cache = store_path.cache AND e.hash = r.hash AND e.missing_since IS NULL) \
     ORDER BY r.position LIMIT 1) \
    WHERE cache = ? AND id IN (SELECT r.path FROM reference AS r JOIN store_path AS p ON p.id = r.path \
     WHERE p.cache = ? AND r.hash <> p.hash \
     AND NOT EXISTS (SELECT 1 FROM store_path AS t JOIN nar AS n ON n.id = t.nar JOIN storage AS s ON s.id = n.storage \
        WHERE t.cache = p.cache AND t.hash = r.hash AND NOT n.damaged AND s.enabled) \
     AND NOT EXISTS (SELECT 1 FROM path_elsewhere AS e \
        WHERE e.cache = p.cache AND e.hash = r.hash AND e.missing_since IS NULL))";

/// Marks the paths of a cache that refer to a marked one. Takes the cache.
const MARK_NEXT: &str = "UPDATE store_path SET missing_reference = \
    (SELECT r.hash FROM reference AS r JOIN store_path AS t ON t.cache = store_path.cache AND t.hash = r.hash \
     WHERE r.path = store_path.id AND r.hash <> store_path.hash AND t.missing_reference IS NOT NULL \
     AND NOT EXISTS (SELECT 1 FROM path_elsewhere AS e \
        WHERE e.cache = store_path.cache AND e.hash = r.hash AND e.missing_since IS NULL) \
     ORDER BY r.position LIMIT 1) \
    WHERE cache = ? AND missing_reference IS NULL AND EXISTS \
    (SELECT 1 FROM reference AS r JOIN store_path AS t ON t.cache = store_path.cache AND t.hash = r.hash \
     WHERE r.path = store_path.id AND r.hash <> store_path.hash AND t.missing_reference IS NOT NULL \
     AND NOT EXISTS (SELECT 1 FROM path_elsewhere AS e \
        WHERE e.cache = store_path.cache AND e.hash = r.hash AND e.missing_since IS NULL))";

type Hash = Field<store_path::Entity, StorePathHash>;

impl Catalog {
    /// Returns how many paths of a cache have an incomplete closure, including hidden ones. Reads their entries in an index.
    pub async fn count_incomplete(&self, cache: CacheId) -> Result<u64, CatalogError> {
        let count = store_path::Entity::find()
            .filter(store_path::Column::Cache.eq(cache))
            .filter(store_path::Column::MissingReference.is_not_null())
            .count(self.readers())
            .await?;
        Ok(count)
    }

    /// Returns at most `limit` paths of a cache that refer to something that clients cannot get, newest first.
    pub async fn incomplete_paths(
        &self,
        cache: CacheId,
        limit: u64,
    ) -> Result<Vec<IncompletePath>, CatalogError> {
        let rows: Vec<(Hash, String, Hash)> = store_path::Entity::find()
            .select_only()
            .columns([
                store_path::Column::Hash,
                store_path::Column::Name,
                store_path::Column::MissingReference,
            ])
            .filter(store_path::Column::Cache.eq(cache))
            .filter(store_path::Column::MissingReference.is_not_null())
            .order_by_desc(store_path::Column::Id)
            .limit(limit)
            .into_tuple()
            .all(self.readers())
            .await?;
        let describe = |(hash, name, missing): (Hash, String, Hash)| {
            let path = values::store_path::<store_path::Entity>("name", *hash, &name)?;
            Ok(IncompletePath { path, missing: *missing })
        };
        rows.into_iter().map(describe).collect()
    }

    /// Returns what the closure of a path lacks, as far as `most` such paths.
    pub async fn lacks_of(
        &self,
        cache: CacheId,
        path: &StorePath,
        most: usize,
    ) -> Result<Vec<Lack>, CatalogError> {
        let mut lacks = Vec::new();
        let mut seen = HashSet::from([*path.hash()]);
        let mut next = vec![path.clone()];
        while let Some(referrer) = next.pop() {
            for target in unmet(self.readers(), cache, &referrer).await? {
                if lacks.len() >= most {
                    return Ok(lacks);
                }
                if !seen.insert(*target.hash()) {
                    continue;
                }
                let row = store_path::Entity::find()
                    .filter(store_path::Column::Cache.eq(cache))
                    .filter(store_path::Column::Hash.eq(stored(target.hash())))
                    .one(self.readers())
                    .await?;
                match row {
                    Some(row) if row.missing_reference.is_some() => next.push(target),
                    row => lacks.push(Lack {
                        path: target,
                        referrer: referrer.clone(),
                        is_hidden: row.is_some(),
                    }),
                }
            }
        }
        Ok(lacks)
    }

    /// Returns at most `limit` references of incomplete paths that the cache does not have and that are not noted to be elsewhere, after
    /// `after`, in the order of their hashes.
    pub async fn wanted_references(
        &self,
        cache: CacheId,
        after: Option<StorePathHash>,
        limit: u64,
    ) -> Result<Vec<StorePathHash>, CatalogError> {
        let here = Query::select()
            .expr(Expr::val(1))
            .from_as(store_path::Entity, "here")
            .and_where(Expr::col(("here", store_path::Column::Cache)).eq(cache))
            .and_where(
                Expr::col(("here", store_path::Column::Hash))
                    .equals((reference::Entity, reference::Column::Hash)),
            )
            .take();
        let mut wanted = reference::Entity::find()
            .select_only()
            .column(reference::Column::Hash)
            .distinct()
            .join(JoinType::InnerJoin, reference::Relation::StorePath.def())
            .filter(store_path::Column::Cache.eq(cache))
            .filter(store_path::Column::MissingReference.is_not_null())
            .filter(Expr::exists(here).not())
            .filter(Expr::exists(noted(cache)).not())
            .order_by_asc(reference::Column::Hash)
            .limit(limit);
        if let Some(after) = after {
            wanted = wanted.filter(reference::Column::Hash.gt(stored(&after)));
        }
        let wanted: Vec<Field<reference::Entity, StorePathHash>> =
            wanted.into_tuple().all(self.readers()).await?;
        Ok(wanted.into_iter().map(Field::into_inner).collect())
    }
}

/// Selects the note that the reference is elsewhere.
fn noted(cache: CacheId) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from(path_elsewhere::Entity)
        .and_where(path_elsewhere::Column::Cache.eq(cache))
        .and_where(
            Expr::col((path_elsewhere::Entity, path_elsewhere::Column::Hash))
                .equals((reference::Entity, reference::Column::Hash)),
        )
        .and_where(path_elsewhere::Column::MissingSince.is_null())
        .take()
}

/// Selects the visible, complete path that the reference is.
fn served(cache: CacheId) -> SelectStatement {
    Query::select()
        .expr(Expr::val(1))
        .from_as(store_path::Entity, "target")
        .join(
            JoinType::InnerJoin,
            nar::Entity,
            Expr::col((nar::Entity, nar::Column::Id)).equals(("target", store_path::Column::Nar)),
        )
        .join(
            JoinType::InnerJoin,
            storage::Entity,
            Expr::col((storage::Entity, storage::Column::Id)).equals((nar::Entity, nar::Column::Storage)),
        )
        .and_where(Expr::col(("target", store_path::Column::Cache)).eq(cache))
        .and_where(
            Expr::col(("target", store_path::Column::Hash))
                .equals((reference::Entity, reference::Column::Hash)),
        )
        .and_where(Expr::col(("target", store_path::Column::MissingReference)).is_null())
        .and_where(nar::Column::Damaged.eq(false))
        .and_where(storage::Column::Enabled.eq(true))
        .take()
}

/// Selects the references of a path that clients cannot get.
fn unmet_of(cache: CacheId, id: PathId, own: &StorePathHash) -> sea_orm::Select<reference::Entity> {
    reference::Entity::find()
        .filter(reference::Column::Path.eq(id))
        .filter(reference::Column::Hash.ne(stored(own)))
        .filter(Expr::exists(served(cache)).not())
        .filter(Expr::exists(noted(cache)).not())
        .order_by_asc(reference::Column::Position)
}

async fn unmet(
    connection: &impl ConnectionTrait,
    cache: CacheId,
    path: &StorePath,
) -> Result<Vec<StorePath>, CatalogError> {
    let row = store_path::Entity::find()
        .filter(store_path::Column::Cache.eq(cache))
        .filter(store_path::Column::Hash.eq(stored(path.hash())))
        .one(connection)
        .await?;
    let Some(row) = row else { return Ok(Vec::new()) };
    let found = unmet_of(cache, row.id, path.hash()).all(connection).await?;
    found
        .into_iter()
        .map(|target| values::store_path::<reference::Entity>("name", *target.hash, &target.name))
        .collect()
}

/// Returns the first reference of a path that clients cannot get.
async fn first_unmet(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    id: PathId,
    own: &StorePathHash,
) -> Result<Option<StorePathHash>, CatalogError> {
    let found: Option<Field<reference::Entity, StorePathHash>> = unmet_of(cache, id, own)
        .select_only()
        .column(reference::Column::Hash)
        .limit(1)
        .into_tuple()
        .one(transaction)
        .await?;
    Ok(found.map(Field::into_inner))
}

async fn set(
    transaction: &DatabaseTransaction,
    ids: &[PathId],
    missing: Option<&StorePathHash>,
) -> Result<(), CatalogError> {
    for some in ids.chunks(IN_LIST) {
        store_path::Entity::update_many()
            .col_expr(
                store_path::Column::MissingReference,
                Expr::value(missing.map(|hash| hash.as_bytes().to_vec())),
            )
            .filter(store_path::Column::Id.is_in(some.iter().copied()))
            .exec(transaction)
            .await?;
    }
    Ok(())
}

/// Whom the completeness of a path may depend on, and whose may depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Concerns {
    /// It has references.
    pub(crate) references: bool,
    /// Other paths may lack it.
    pub(crate) others: bool,
}

impl Concerns {
    /// Nothing is known.
    pub(crate) const ANY: Self = Self { references: true, others: true };
}

/// Finds out whether a path that has just been inserted, with its references, is complete. If so, so may be those that wait for it. Returns
/// the reference that stands in the way.
pub(crate) async fn settle_new(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    id: PathId,
    hash: &StorePathHash,
    concerns: Concerns,
) -> Result<Option<StorePathHash>, CatalogError> {
    let missing = match concerns.references {
        true => first_unmet(transaction, cache, id, hash).await?,
        false => None,
    };
    match &missing {
        Some(_) => set(transaction, &[id], missing.as_ref()).await?,
        None if concerns.others => gained(transaction, cache, vec![*hash]).await?,
        None => {}
    }
    Ok(missing)
}

/// As [`settle_new`], for several paths that have become visible, and that may refer to each other.
pub(crate) async fn settle(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    hashes: &[StorePathHash],
) -> Result<(), CatalogError> {
    let mut incomplete = Vec::new();
    for some in hashes.chunks(IN_LIST) {
        let rows: Vec<(PathId, Hash)> = store_path::Entity::find()
            .select_only()
            .columns([store_path::Column::Id, store_path::Column::Hash])
            .filter(store_path::Column::Cache.eq(cache))
            .filter(store_path::Column::Hash.is_in(some.iter().map(stored)))
            .into_tuple()
            .all(transaction)
            .await?;
        for (id, hash) in rows {
            if settle_new(transaction, cache, id, &hash, Concerns::ANY).await?.is_some() {
                incomplete.push(*hash);
            }
        }
    }
    // Until they were looked at themselves, they counted as complete for those before them.
    lost(transaction, cache, incomplete).await?;
    Ok(())
}

/// Clients can get these paths now: looks whether those that waited for one of them are complete.
pub(crate) async fn gained(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    mut hashes: Vec<StorePathHash>,
) -> Result<(), CatalogError> {
    while !hashes.is_empty() {
        let some = hashes.split_off(hashes.len().saturating_sub(IN_LIST));
        let waiting: Vec<(PathId, Hash)> = store_path::Entity::find()
            .select_only()
            .columns([store_path::Column::Id, store_path::Column::Hash])
            .filter(store_path::Column::Cache.eq(cache))
            .filter(store_path::Column::MissingReference.is_in(some.iter().map(stored)))
            .into_tuple()
            .all(transaction)
            .await?;
        for (id, hash) in waiting {
            let missing = first_unmet(transaction, cache, id, &hash).await?;
            set(transaction, &[id], missing.as_ref()).await?;
            if missing.is_none() {
                hashes.push(*hash);
            }
        }
    }
    Ok(())
}

/// The cache cannot give these paths any more: marks those that need one of them, unless it is noted to be elsewhere. Returns the changes,
/// which are of the marked paths.
pub(crate) async fn lost(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    mut hashes: Vec<StorePathHash>,
) -> Result<Vec<CatalogChange>, CatalogError> {
    let mut changes = Vec::new();
    while !hashes.is_empty() {
        let some = hashes.split_off(hashes.len().saturating_sub(IN_LIST));
        type Row = (Field<reference::Entity, StorePathHash>, PathId, Hash);
        let broken: Vec<Row> = reference::Entity::find()
            .select_only()
            .column(reference::Column::Hash)
            .columns([store_path::Column::Id, store_path::Column::Hash])
            .join(JoinType::InnerJoin, reference::Relation::StorePath.def())
            // Prevents the index: SQLite would start with all paths of the cache.
            .filter(store_path::Column::Cache.into_expr().add(0).eq(cache))
            .filter(store_path::Column::MissingReference.is_null())
            .filter(reference::Column::Hash.is_in(some.iter().map(stored)))
            .filter(
                Condition::all()
                    .add(
                        Expr::col((store_path::Entity, store_path::Column::Hash))
                            .equals((reference::Entity, reference::Column::Hash)),
                    )
                    .not(),
            )
            .filter(Expr::exists(noted(cache)).not())
            .into_tuple()
            .all(transaction)
            .await?;
        let mut marked = HashSet::new();
        for (missing, id, hash) in broken {
            if marked.insert(id) {
                set(transaction, &[id], Some(&missing)).await?;
                hashes.push(*hash);
                changes.push(CatalogChange::Path { cache, path: *hash, change: PathChange::Updated });
            }
        }
    }
    Ok(changes)
}

/// Looks at all paths of a cache anew, as many of them may have become visible or hidden at once.
pub(crate) async fn recount(transaction: &DatabaseTransaction, cache: CacheId) -> Result<(), CatalogError> {
    let backend = transaction.get_database_backend();
    let run = |text: &str, values: usize| {
        let text = positional(backend, text);
        let statement = Statement::from_sql_and_values(backend, text, vec![cache.0.into(); values]);
        async move { transaction.execute_raw(statement).await }
    };
    store_path::Entity::update_many()
        .col_expr(store_path::Column::MissingReference, Expr::value(None::<Vec<u8>>))
        .filter(store_path::Column::Cache.eq(cache))
        .filter(store_path::Column::MissingReference.is_not_null())
        .exec(transaction)
        .await?;
    run(MARK_FIRST, 2).await?;
    while run(MARK_NEXT, 1).await?.rows_affected() > 0 {}
    Ok(())
}

/// Returns those of the paths that are visible and complete.
pub(crate) async fn served_of(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    hashes: &[StorePathHash],
) -> Result<HashSet<StorePathHash>, CatalogError> {
    let mut served = HashSet::new();
    for some in hashes.chunks(IN_LIST) {
        let rows: Vec<Hash> = store_path::Entity::find()
            .select_only()
            .column(store_path::Column::Hash)
            .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
            .join(
                JoinType::InnerJoin,
                nar::Entity::belongs_to(storage::Entity)
                    .from(nar::Column::Storage)
                    .to(storage::Column::Id)
                    .into(),
            )
            .filter(store_path::Column::Cache.eq(cache))
            .filter(store_path::Column::Hash.is_in(some.iter().map(stored)))
            .filter(store_path::Column::MissingReference.is_null())
            .filter(nar::Column::Damaged.eq(false))
            .filter(storage::Column::Enabled.eq(true))
            .into_tuple()
            .all(transaction)
            .await?;
        served.extend(rows.into_iter().map(Field::into_inner));
    }
    Ok(served)
}
