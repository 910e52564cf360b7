//! Caches, declared in the configuration. A cache that is no longer declared is disabled, never deleted.

use sea_orm::entity::prelude::*;

use crate::{CacheId, UnixTime};

/// A cache as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "cache")]
pub struct Model {
    /// Stays the same while the cache is disabled and enabled.
    #[sea_orm(primary_key)]
    pub id: CacheId,
    /// The unique name.
    pub name: String,
    /// Whether the configuration declares the cache and enables it.
    pub enabled: bool,
    /// Whether anyone may read the cache.
    pub public: bool,
    /// When the configuration first declared the cache.
    pub created_at: UnixTime,
    /// The state of the storage strategy that [`crate::Catalog::save_turns`] or a commit saved last. Empty at first.
    pub turns: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
