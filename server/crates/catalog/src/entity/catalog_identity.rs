//! Which catalog this is. One row.

use sea_orm::entity::prelude::*;
use uuid::Uuid;

use super::field::Field;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "catalog_identity")]
pub struct Model {
    /// Always the same.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Made at random when the catalog was new. A backup has the same.
    pub catalog: Field<Entity, Uuid>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
