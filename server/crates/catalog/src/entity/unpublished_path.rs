//! Store paths whose files beside the NAR (narinfo, listing) are not known to be on disk.

use sea_orm::entity::prelude::*;

use crate::PathId;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "unpublished_path")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub path: PathId,
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
