//! Queries for people who browse a cache. Each reads a bounded part of an index, or one index from end to end, and returns a bounded
//! number of rows.

use std::collections::{HashMap, HashSet};

use nix_formats::{StorePath, StorePathHash};
use sea_orm::sea_query::extension::postgres::PgExpr;
use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr};
use sea_orm::{
    ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait, Select,
};

use crate::entity::field::{Field, stored};
use crate::entity::values::{self, Count};
use crate::entity::{nar, reference, store_path};
use crate::storages::Storages;
use crate::{CacheId, Catalog, CatalogError, NarId, PathId, PathLine, UnixTime};

/// The most values in one `IN (…)`. Databases limit the parameters of a statement.
const IN_LIST: usize = 1000;

/// What was added to a cache within a span of time and is still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// NAR files.
    pub nars: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

/// A search for paths by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameSearch {
    /// How the name begins; empty for any.
    pub start: String,
    /// What the name contains, in any order.
    pub words: Vec<String>,
    /// Name and hash of the last path of the previous page.
    pub after: Option<(String, StorePathHash)>,
    /// The most paths to return.
    pub limit: u64,
}

/// A path that refers to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its row, which is where the next page begins.
    pub id: PathId,
    /// The path.
    pub path: StorePath,
}

/// A path with everything that it refers to, directly or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// Paths of the closure that the cache has.
    pub paths: u64,
    /// Paths of the closure that the cache does not have.
    pub missing: u64,
    /// The size of the NAR files of those that it has, in bytes. A file that several paths share counts once per path.
    pub file_bytes: u64,
    /// The size of the NARs inside, in bytes.
    pub nar_bytes: u64,
    /// Whether the closure is larger than the limit, so that these figures are those of a part of it.
    pub is_cut: bool,
}

impl Catalog {
    /// Returns a pattern for names that hold this text behind `before`.
    fn pattern(&self, before: &str, text: &str) -> LikeExpr {
        let text = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        let pattern = LikeExpr::new(format!("{before}{text}%"));
        // PostgreSQL takes the backslash by itself, and the clause not everywhere.
        if self.is_shared() { pattern } else { pattern.escape('\\') }
    }

    /// Returns the name of a path as its index has it, which is sorted byte by byte.
    fn name_in_order(&self) -> Expr {
        match self.is_shared() {
            true => Expr::cust(r#""store_path"."name" COLLATE "C""#),
            false => Expr::col((store_path::Entity, store_path::Column::Name)),
        }
    }

    /// Returns what was added in each of `spans` spans of `seconds`, the first of which begins at `from`. Reads one index.
    pub async fn added_since(
        &self,
        cache: CacheId,
        from: UnixTime,
        seconds: u32,
        spans: usize,
    ) -> Result<Vec<Added>, CatalogError> {
        // Written into the statement, as PostgreSQL does not see that two parameters are the same.
        let span = Expr::cust(format!("(\"created_at\" - {}) / {}", from.0, std::cmp::max(seconds, 1)));
        let rows: Vec<(i64, i64, i64)> = nar::Entity::find()
            .select_only()
            .expr(span.clone())
            .expr(nar::Column::CreatedAt.count())
            .expr(crate::usage::sum(nar::Column::FileSize))
            .filter(nar::Column::Cache.eq(cache))
            .filter(nar::Column::CreatedAt.gte(from))
            .group_by(span)
            .into_tuple()
            .all(self.readers())
            .await?;
        let mut added = vec![Added::default(); spans];
        for (span, nars, bytes) in rows {
            // What the clock put into the future belongs to the last span.
            let span = usize::try_from(span).unwrap_or(0).min(spans.saturating_sub(1));
            if let Some(added) = added.get_mut(span) {
                added.nars += Count::of_sum::<nar::Entity>("count", nars)?;
                added.bytes += Count::of_sum::<nar::Entity>("file_size", bytes)?;
            }
        }
        Ok(added)
    }

    /// Returns the paths of a cache that were pushed last, newest first, including hidden ones.
    pub async fn newest_paths(&self, cache: CacheId, limit: u64) -> Result<Vec<PathLine>, CatalogError> {
        let ids = ids_of(cache)
            .order_by_desc(store_path::Column::CreatedAt)
            .order_by_desc(store_path::Column::Id)
            .limit(limit);
        self.lines_of(ids).await
    }

    /// Returns the visible paths with the largest files, largest first. Unlike [`Catalog::largest_paths`] it reads only the ends of an
    /// index.
    pub async fn largest_visible(&self, cache: CacheId, limit: u64) -> Result<Vec<PathLine>, CatalogError> {
        let mut files: Vec<(u64, NarId)> = Vec::new();
        for storage in Storages::of(self.readers(), cache).await?.enabled() {
            let largest: Vec<(NarId, Field<nar::Entity, Count>)> = nar::Entity::find()
                .select_only()
                .columns([nar::Column::Id, nar::Column::FileSize])
                .filter(nar::Column::Storage.eq(storage))
                .filter(nar::Column::Damaged.eq(false))
                .order_by_desc(nar::Column::FileSize)
                .limit(limit)
                .into_tuple()
                .all(self.readers())
                .await?;
            files.extend(largest.into_iter().map(|(id, size)| (size.get(), id)));
        }
        files.sort_unstable_by(|one, other| other.cmp(one));
        files.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        // The files are those of this cache. Said once more, that would make SQLite look at all its paths.
        let ids = store_path::Entity::find()
            .select_only()
            .column(store_path::Column::Id)
            .filter(store_path::Column::Nar.is_in(files.into_iter().map(|(_, id)| id)))
            .limit(limit);
        let mut lines = self.lines_of(ids).await?;
        lines.sort_by_key(|line| std::cmp::Reverse(line.file_size));
        Ok(lines)
    }

    /// Returns paths by their names, in the order of the names, including hidden paths. Case counts only at the start.
    ///
    /// A search by the start reads a part of an index, one by words may read all of it.
    pub async fn search_names(
        &self,
        cache: CacheId,
        search: NameSearch,
    ) -> Result<Vec<PathLine>, CatalogError> {
        let name = || self.name_in_order();
        let mut ids = ids_of(cache);
        if !search.start.is_empty() {
            ids = ids.filter(name().like(self.pattern("", &search.start)));
            if !self.is_shared() {
                // SQLite compares byte by byte, and does not see that the pattern selects a range of the index.
                let end = format!("{}{}", search.start, char::MAX);
                ids = ids.filter(name().gte(search.start)).filter(name().lt(end));
            }
        }
        for word in &search.words {
            let contains = self.pattern("%", word);
            // In SQLite, `LIKE` ignores the case of ASCII letters.
            ids = ids.filter(if self.is_shared() { name().ilike(contains) } else { name().like(contains) });
        }
        if let Some((after, hash)) = &search.after {
            let here = Expr::tuple([name(), Expr::col((store_path::Entity, store_path::Column::Hash))]);
            ids = ids.filter(here.gt(Expr::tuple([Expr::val(after.as_str()), Expr::val(stored(hash))])));
        }
        let ids = ids.order_by_asc(name()).order_by_asc(store_path::Column::Hash).limit(search.limit);
        self.lines_of(ids).await
    }

    /// Returns the paths with these hashes, in the order of the hashes. Those that the cache does not have are left out.
    pub async fn lines_by_hash(
        &self,
        cache: CacheId,
        hashes: &[StorePathHash],
    ) -> Result<Vec<PathLine>, CatalogError> {
        let mut lines = HashMap::new();
        for some in hashes.chunks(IN_LIST) {
            let ids = ids_of(cache).filter(store_path::Column::Hash.is_in(some.iter().map(stored)));
            lines.extend(self.lines_of(ids).await?.into_iter().map(|line| (*line.path.hash(), line)));
        }
        Ok(hashes.iter().filter_map(|hash| lines.remove(hash)).collect())
    }

    /// Returns at most `limit` paths of a cache that refer to a path, in the order of their rows after `after`, including hidden
    /// ones.
    pub async fn referrers(
        &self,
        cache: CacheId,
        hash: &StorePathHash,
        after: Option<PathId>,
        limit: u64,
    ) -> Result<Vec<Referrer>, CatalogError> {
        let mut query = reference::Entity::find()
            .select_only()
            .columns([store_path::Column::Id, store_path::Column::Hash])
            .column(store_path::Column::Name)
            .join(JoinType::InnerJoin, reference::Relation::StorePath.def())
            .filter(reference::Column::Hash.eq(stored(hash)))
            .filter(store_path::Column::Cache.eq(cache))
            .filter(store_path::Column::Hash.ne(stored(hash)));
        if let Some(after) = after {
            query = query.filter(reference::Column::Path.gt(after));
        }
        let rows: Vec<(PathId, Field<store_path::Entity, StorePathHash>, String)> =
            query.order_by_asc(reference::Column::Path).limit(limit).into_tuple().all(self.readers()).await?;
        let referrer = |(id, hash, name): (PathId, Field<store_path::Entity, StorePathHash>, String)| {
            Ok(Referrer { id, path: values::store_path::<store_path::Entity>("name", *hash, &name)? })
        };
        rows.into_iter().map(referrer).collect()
    }

    /// Adds up the closure of a path, as far as `most` paths.
    pub async fn closure(
        &self,
        cache: CacheId,
        root: StorePathHash,
        most: usize,
    ) -> Result<Closure, CatalogError> {
        let mut closure = Closure::default();
        let mut seen = HashSet::from([root]);
        let mut next = vec![root];
        while !next.is_empty() {
            let mut found = Vec::new();
            for some in next.chunks(IN_LIST) {
                type Row = (PathId, Field<nar::Entity, Count>, Field<nar::Entity, Count>);
                let rows: Vec<Row> = store_path::Entity::find()
                    .select_only()
                    .column(store_path::Column::Id)
                    .columns([nar::Column::FileSize, nar::Column::NarSize])
                    .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
                    .filter(store_path::Column::Cache.eq(cache))
                    .filter(store_path::Column::Hash.is_in(some.iter().map(stored)))
                    .into_tuple()
                    .all(self.readers())
                    .await?;
                closure.missing += (some.len() - rows.len().min(some.len())) as u64;
                for (id, file_size, nar_size) in rows {
                    closure.paths += 1;
                    closure.file_bytes = closure.file_bytes.saturating_add(file_size.get());
                    closure.nar_bytes = closure.nar_bytes.saturating_add(nar_size.get());
                    found.push(id);
                }
            }
            next.clear();
            for some in found.chunks(IN_LIST) {
                let targets: Vec<Field<reference::Entity, StorePathHash>> = reference::Entity::find()
                    .select_only()
                    .column(reference::Column::Hash)
                    .distinct()
                    .filter(reference::Column::Path.is_in(some.iter().copied()))
                    .into_tuple()
                    .all(self.readers())
                    .await?;
                next.extend(targets.into_iter().map(Field::into_inner).filter(|target| seen.insert(*target)));
            }
            if seen.len() > most {
                closure.is_cut = true;
                return Ok(closure);
            }
        }
        Ok(closure)
    }

    /// Returns the lines of the paths that a query selects, in its order. Two steps, so that the first one reads an index alone.
    async fn lines_of(&self, ids: Select<store_path::Entity>) -> Result<Vec<PathLine>, CatalogError> {
        let ids: Vec<PathId> = ids.into_tuple().all(self.readers()).await?;
        let mut lines = HashMap::with_capacity(ids.len());
        for some in ids.chunks(IN_LIST) {
            lines.extend(self.lines_by_id(some).await?);
        }
        Ok(ids.iter().filter_map(|id| lines.remove(id)).collect())
    }
}

/// Returns a query for the rows of all paths of a cache.
fn ids_of(cache: CacheId) -> Select<store_path::Entity> {
    store_path::Entity::find()
        .select_only()
        .column(store_path::Column::Id)
        .filter(store_path::Column::Cache.eq(cache))
}
