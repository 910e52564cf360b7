//! How far the catalog had come when it was last noted on a storage: see `generations.rs`.

use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Count;
use crate::StorageId;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage_generation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub storage: StorageId,
    pub generation: Field<Entity, Count>,
    /// Whether the storage is known to hold paths that the catalog has lost.
    pub rebuild: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
