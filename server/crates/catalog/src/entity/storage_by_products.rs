//! How much the by-products on a storage take: see `by_products.rs`.

use sea_orm::entity::prelude::*;

use crate::StorageId;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage_by_products")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub storage: StorageId,
    /// In bytes. Below zero where more was removed than had been counted.
    pub bytes: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
