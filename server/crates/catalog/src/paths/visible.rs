//! The hashes of all visible paths, for the index that is kept in memory.

use std::collections::HashSet;

use futures_util::stream::{self, Stream};
use nix_formats::StorePathHash;
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait};

use crate::caches::storages_of;
use crate::entity::{nar, store_path};
use crate::{CacheId, Catalog, CatalogError, rows};

/// How many hashes are read at a time. A row costs some hundred bytes while it is read.
const BATCH: u64 = 10_000;

impl Catalog {
    /// The hashes of all visible paths of a cache, in batches, in the order of their bytes. A path that is committed,
    /// damaged or healed meanwhile may be given in either state; the calls that do so report it.
    ///
    /// Only the index by hash is read, not the rows.
    pub fn visible_path_hashes(
        &self,
        cache: CacheId,
    ) -> impl Stream<Item = Result<Vec<StorePathHash>, CatalogError>> + Send + use<> {
        let reading = HashReading { catalog: self.clone(), cache, hidden: None, after: Vec::new() };
        stream::try_unfold(reading, HashReading::next)
    }
}

/// The state of [`Catalog::visible_path_hashes`].
struct HashReading {
    catalog: Catalog,
    cache: CacheId,
    /// Hashes of hidden paths, once read. There are few, unless a whole storage was lost.
    hidden: Option<HashSet<Vec<u8>>>,
    /// The last hash that was read.
    after: Vec<u8>,
}

impl HashReading {
    async fn next(mut self) -> Result<Option<(Vec<StorePathHash>, Self)>, CatalogError> {
        let hidden = match self.hidden.take() {
            Some(hidden) => hidden,
            None => self.read_hidden().await?,
        };
        let hashes: Vec<Vec<u8>> = store_path::Entity::find()
            .select_only()
            .column(store_path::Column::Hash)
            .filter(store_path::Column::Cache.eq(self.cache))
            .filter(store_path::Column::Hash.gt(self.after.clone()))
            .order_by_asc(store_path::Column::Hash)
            .limit(BATCH)
            .into_tuple()
            .all(self.catalog.readers())
            .await?;
        let Some(last) = hashes.last() else {
            return Ok(None);
        };
        self.after.clone_from(last);
        let batch = hashes
            .into_iter()
            .filter(|hash| !hidden.contains(hash))
            .map(|hash| rows::path_hash("store_path", hash))
            .collect::<Result<_, _>>()?;
        self.hidden = Some(hidden);
        Ok(Some((batch, self)))
    }

    async fn read_hidden(&self) -> Result<HashSet<Vec<u8>>, CatalogError> {
        let hashes: Vec<Vec<u8>> = store_path::Entity::find()
            .select_only()
            .column(store_path::Column::Hash)
            .join(JoinType::InnerJoin, store_path::Relation::Nar.def())
            .filter(nar::Column::Storage.in_subquery(storages_of(self.cache)))
            .filter(nar::Column::Damaged.eq(true))
            .into_tuple()
            .all(self.catalog.readers())
            .await?;
        Ok(hashes.into_iter().collect())
    }
}
