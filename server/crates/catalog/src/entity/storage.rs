//! Storages, declared in the configuration per cache.

use sea_orm::entity::prelude::*;

use crate::{CacheId, StorageId};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: StorageId,
    pub cache: CacheId,
    pub name: String,
    pub kind: String,
    pub enabled: bool,
    /// What stands in its marker file.
    pub marker: Option<String>,
    /// Where it is, as the configuration said last.
    pub location: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
