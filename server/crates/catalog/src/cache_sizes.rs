//! How large each cache was at the end of each day, so that its growth can be shown.
//!
//! What is in a cache says when it came, but not what else was there then and went. So each day has a row, as it was last counted.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::cache_size::{self, Column, Entity};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError};

/// How large a cache was on a day.
pub type CacheSize = cache_size::Model;

/// Columns that a later count of the same day replaces.
const COUNTED: [Column; 3] = [Column::Paths, Column::FileBytes, Column::NarBytes];

impl Catalog {
    /// Records sizes, each in place of that of the same cache and day, and forgets those of days before `oldest`. A cache that was
    /// deleted meanwhile is left out.
    pub async fn record_sizes(&self, sizes: Vec<CacheSize>, oldest: i64) -> Result<(), CatalogError> {
        self.write((sizes, oldest), |transaction, (sizes, oldest)| {
            Box::pin(async move {
                for size in sizes {
                    let cache = crate::entity::cache::Entity::find_by_id(size.cache).one(transaction).await?;
                    if cache.is_none() {
                        continue;
                    }
                    let row = cache_size::ActiveModel {
                        cache: ActiveValue::Set(size.cache),
                        day: ActiveValue::Set(size.day),
                        paths: ActiveValue::Set(size.paths),
                        file_bytes: ActiveValue::Set(size.file_bytes),
                        nar_bytes: ActiveValue::Set(size.nar_bytes),
                    };
                    let mut same_day = OnConflict::columns([Column::Cache, Column::Day]);
                    Entity::insert(row)
                        .on_conflict(same_day.update_columns(COUNTED).to_owned())
                        .exec_without_returning(transaction)
                        .await?;
                }
                Entity::delete_many().filter(Column::Day.lt(*oldest)).exec(transaction).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }

    /// Returns the sizes of a cache from a day on, oldest first. A day on which no daemon ran has none.
    pub async fn sizes_since(&self, cache: CacheId, day: i64) -> Result<Vec<CacheSize>, CatalogError> {
        let query = Entity::find().filter(Column::Cache.eq(cache)).filter(Column::Day.gte(day));
        Ok(query.order_by_asc(Column::Day).all(self.readers()).await?)
    }
}
