//! Store paths that were removed from their cache. Their rows are deleted; their files are still to be removed.

use nix_formats::StorePathHash;
use sea_orm::entity::prelude::*;

use super::field::Field;
use crate::{CacheId, NarId, StorageId, TombstoneId};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tombstone")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: TombstoneId,
    pub cache: CacheId,
    /// The storage that holds the files beside the NAR.
    pub storage: StorageId,
    pub hash: Field<Entity, StorePathHash>,
    /// The NAR file of the path. Its row may be deleted already.
    pub nar: NarId,
    /// The base name of the derivation that made the path.
    pub deriver: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
