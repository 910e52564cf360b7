//! How large a cache was on a day: see `cache_sizes.rs`.

use sea_orm::entity::prelude::*;

use crate::CacheId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "cache_size")]
pub struct Model {
    /// The cache.
    #[sea_orm(primary_key, auto_increment = false)]
    pub cache: CacheId,
    /// Days since 1970, in UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i64,
    /// Visible paths.
    pub paths: i64,
    /// Bytes of their files.
    pub file_bytes: i64,
    /// Bytes of the NARs inside.
    pub nar_bytes: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
