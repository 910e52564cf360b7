//! The hashes of all visible paths, for the index that is kept in memory.

use std::collections::HashSet;

use futures_util::stream::{self, Stream};
use nix_formats::StorePathHash;
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait};

use crate::entity::field::{Field, stored};
use crate::entity::store_path;
use crate::storages::Storages;
use crate::{CacheId, Catalog, CatalogError};

/// How many hashes are read at a time. A row costs some hundred bytes while it is read. Few in tests, where each path takes
/// a millisecond to make.
const BATCH: u64 = if cfg!(test) { 100 } else { 10_000 };

impl Catalog {
    /// The hashes of all visible paths of a cache, in batches, in the order of their bytes. A path that is committed,
    /// damaged or healed meanwhile may be given in either state; the calls that do so report it.
    ///
    /// Only the index by hash is read, not the rows, unless many paths are hidden.
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
    /// Which paths are hidden, once read.
    hidden: Option<Hidden>,
    /// The last hash that was read.
    after: Option<StorePathHash>,
}

/// How hidden paths are left out.
enum Hidden {
    /// By their hashes, as there are few.
    These(HashSet<StorePathHash>),
    /// By the query, which then looks at the rows: a whole storage is gone.
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
