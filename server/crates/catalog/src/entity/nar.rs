//! Compressed NAR files. Several store paths of a cache may share one.

use sea_orm::entity::prelude::*;

use crate::{CacheId, NarId, StorageId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "nar")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: NarId,
    pub cache: CacheId,
    pub storage: StorageId,
    /// 32 bytes.
    pub file_hash: Vec<u8>,
    /// The word that narinfo uses.
    pub compression: String,
    pub file_size: i64,
    /// 32 bytes.
    pub nar_hash: Vec<u8>,
    pub nar_size: i64,
    pub damaged: bool,
    pub created_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
