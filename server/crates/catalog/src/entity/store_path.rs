//! Store paths of caches. A path is visible to clients while its NAR is undamaged and on an enabled storage.

use nix_formats::StorePathHash;
use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Signatures;
use crate::{CacheId, NarId, PathId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "store_path")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: PathId,
    pub cache: CacheId,
    pub hash: Field<Entity, StorePathHash>,
    pub name: String,
    pub nar: NarId,
    pub deriver: Option<String>,
    pub ca: Option<String>,
    pub signatures: Field<Entity, Signatures>,
    pub created_at: UnixTime,
    pub last_used_at: UnixTime,
    /// The id of the token that it was pushed with.
    pub pushed_by: Option<String>,
    /// A reference that clients cannot get; none if the closure is complete. See `closures.rs`.
    pub missing_reference: Option<Field<Entity, StorePathHash>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(belongs_to = "super::nar::Entity", from = "Column::Nar", to = "super::nar::Column::Id")]
    Nar,
    #[sea_orm(has_many = "super::reference::Entity")]
    Reference,
    #[sea_orm(has_one = "super::unpublished_path::Entity")]
    UnpublishedPath,
}

impl Related<super::nar::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Nar.def()
    }
}

impl Related<super::reference::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Reference.def()
    }
}

impl Related<super::unpublished_path::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::UnpublishedPath.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
