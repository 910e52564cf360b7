//! References of store paths, in the order in which the narinfo lists them. The target need not exist.

use nix_formats::StorePathHash;
use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Count;
use crate::PathId;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reference")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub path: PathId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: Field<Entity, Count>,
    pub hash: Field<Entity, StorePathHash>,
    pub name: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::store_path::Entity",
        from = "Column::Path",
        to = "super::store_path::Column::Id"
    )]
    StorePath,
}

impl Related<super::store_path::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::StorePath.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
