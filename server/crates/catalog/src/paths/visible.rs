//! The hashes of all visible paths, for the index in memory.

use std::collections::HashSet;

use futures_util::stream::{self, Stream};
use nix_formats::StorePathHash;
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait};

use crate::entity::field::{Field, stored};
use crate::entity::store_path;
use crate::storages::Storages;
use crate::{CacheId, Catalog, CatalogError};

/// The number of hashes read at a time. A row costs some hundred bytes while it is read. Small in tests, where creating a path
/// takes a millisecond.
const BATCH: u64 = if cfg!(test) { 100 } else { 10_000 };

impl Catalog {
    /// Returns the hashes of all visible paths of a cache in batches, in byte order. A path that is committed, damaged or healed
    /// meanwhile may appear in either state; the calls that change it report it.
    ///
    /// Reads only the index by hash, not the rows, unless many paths are hidden.
    pub fn visible_path_hashes(
        &self,
        cache: CacheId,
    ) -> impl Stream<Item = Result<Vec<StorePathHash>, CatalogError>> + Send + use<> {
        let reading = HashReading { catalog: self.clone(), cache, hidden: None, after: None };
        stream::try_unfold(reading, HashReading::next)
    }
}

/// The state of [`Catalog::visible_path_hashes`].
struct HashReading {
    catalog: Catalog,
    cache: CacheId,
    /// The hidden paths, once read.
    hidden: Option<Hidden>,
    /// The last hash that was read.
    after: Option<StorePathHash>,
}

/// How hidden paths are filtered out.
enum Hidden {
    /// By their hashes, because there are few.
    These(HashSet<StorePathHash>),
    /// By the query, which then reads the rows: a whole storage is disabled.
    Many(Storages),
}

impl HashReading {
    async fn next(mut self) -> Result<Option<(Vec<StorePathHash>, Self)>, CatalogError> {
        let hidden = match self.hidden.take() {
            Some(hidden) => hidden,
            None => self.read_hidden().await?,
        };
        let mut query = store_path::Entity::find()
            .select_only()
            .column(store_path::Column::Hash)
            .filter(store_path::Column::Cache.eq(self.cache));
        if let Some(after) = &self.after {
            query = query.filter(store_path::Column::Hash.gt(stored(after)));
        }
        if let Hidden::Many(storages) = &hidden {
            query =
                query.join(JoinType::InnerJoin, store_path::Relation::Nar.def()).filter(storages.showing());
        }
        let hashes: Vec<Field<store_path::Entity, StorePathHash>> = query
            .order_by_asc(store_path::Column::Hash)
            .limit(BATCH)
            .into_tuple()
            .all(self.catalog.readers())
            .await?;
        let Some(last) = hashes.last() else {
            return Ok(None);
        };
        self.after = Some(**last);
        let mut batch: Vec<_> = hashes.into_iter().map(Field::into_inner).collect();
        if let Hidden::These(hidden) = &hidden {
            batch.retain(|hash| !hidden.contains(hash));
        }
        self.hidden = Some(hidden);
        Ok(Some((batch, self)))
    }

    async fn read_hidden(&self) -> Result<Hidden, CatalogError> {
        let storages = Storages::of(self.catalog.readers(), self.cache).await?;
        let hashes: Vec<Field<store_path::Entity, StorePathHash>> = store_path::Entity::find()
            .select_only()
            .column(store_path::Column::Hash)
            .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
            .filter(storages.hiding())
            .limit(BATCH + 1)
            .into_tuple()
            .all(self.catalog.readers())
            .await?;
        let few = hashes.len() as u64 <= BATCH;
        Ok(if few {
            Hidden::These(hashes.into_iter().map(Field::into_inner).collect())
        } else {
            Hidden::Many(storages)
        })
    }
}
