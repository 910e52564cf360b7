//! Revisions of pins. A pin refers to a store hash, not to a row, so it survives the healing of the path.

use nix_formats::StorePathHash;
use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Count;
use crate::{CacheId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pin")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub cache: CacheId,
    pub name: String,
    /// 1 for the first revision under a name.
    pub revision: Field<Entity, Count>,
    pub path_hash: Field<Entity, StorePathHash>,
    pub path_name: String,
    /// A JSON list of strings.
    pub artifacts: Field<Entity, Vec<String>>,
    pub keep_days: Option<Field<Entity, u32>>,
    pub keep_revisions: Option<Field<Entity, u32>>,
    pub keep_forever: bool,
    pub created_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
