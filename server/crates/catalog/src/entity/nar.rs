//! Compressed NAR files. Several store paths of a cache may share one.

use nix_formats::{Compression, FileHash, NarHash};
use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Count;
use crate::{CacheId, NarId, StorageId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "nar")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: NarId,
    pub cache: CacheId,
    pub storage: StorageId,
    pub file_hash: Field<Entity, FileHash>,
    pub compression: Field<Entity, Compression>,
    pub file_size: Field<Entity, Count>,
    pub nar_hash: Field<Entity, NarHash>,
    pub nar_size: Field<Entity, Count>,
    pub damaged: bool,
    pub created_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
