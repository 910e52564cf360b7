//! Revisions of pins. A pin holds on to a store hash, so it outlives the healing of the path.

use sea_orm::entity::prelude::*;

use crate::{CacheId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pin")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub cache: CacheId,
    pub name: String,
    /// 1 for the first revision under a name.
    pub revision: i64,
    /// 20 bytes.
    pub path_hash: Vec<u8>,
    pub path_name: String,
    /// A JSON list of strings.
    pub artifacts: String,
    pub keep_days: Option<i64>,
    pub keep_revisions: Option<i64>,
    pub keep_forever: bool,
    pub created_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
