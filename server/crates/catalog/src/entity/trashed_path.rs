//! Store paths that were removed from their cache and can be restored. A path of a cache is either here or in `store_path`.

use nix_formats::StorePathHash;
use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Signatures;
use crate::{CacheId, NarId, TrashId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trashed_path")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: TrashId,
    pub cache: CacheId,
    pub hash: Field<Entity, StorePathHash>,
    pub name: String,
    /// The NAR file of the path. It is kept as long as a row names it.
    pub nar: NarId,
    /// The base names of the references, in order.
    pub reference_names: Field<Entity, Vec<String>>,
    pub deriver: Option<String>,
    pub ca: Option<String>,
    pub signatures: Field<Entity, Signatures>,
    pub created_at: UnixTime,
    pub last_used_at: UnixTime,
    /// The id of the token that it was pushed with.
    pub pushed_by: Option<String>,
    pub trashed_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(belongs_to = "super::nar::Entity", from = "Column::Nar", to = "super::nar::Column::Id")]
    Nar,
}

impl Related<super::nar::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Nar.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
