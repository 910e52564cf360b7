//! Store paths whose files beside the NAR (narinfo, listing) are not known to be on disk. A path that is put on the list
//! while it is there gets a new row.

use sea_orm::entity::prelude::*;

use crate::{PathId, PublishTicket};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "unpublished_path")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: PublishTicket,
    #[sea_orm(unique)]
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
