//! Store paths that garbage collection has taken out of their cache. Their rows are gone; what is left are files.

use sea_orm::entity::prelude::*;

use crate::{CacheId, NarId, StorageId, TombstoneId};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tombstone")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: TombstoneId,
    pub cache: CacheId,
    /// Where the files beside the NAR are.
    pub storage: StorageId,
    /// 20 bytes.
    pub hash: Vec<u8>,
    /// The file that the path needed. Its row may be gone by now.
    pub nar: NarId,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
