//! Caches, declared in the configuration. A cache that vanished from it is disabled, never deleted.

use sea_orm::entity::prelude::*;

use crate::{CacheId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "cache")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: CacheId,
    pub name: String,
    pub enabled: bool,
    pub public: bool,
    pub created_at: UnixTime,
    /// Whose turn it is among the storages, in the words of whoever picks them.
    pub turns: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
