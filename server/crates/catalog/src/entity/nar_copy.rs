//! Further copies of NAR files, beside the one that the row of the file names, and those that are wanted.

use nix_formats::{Compression, FileHash};
use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Count;
use crate::{CacheId, CopyId, CopyState, NarId, StorageId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "nar_copy")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: CopyId,
    pub cache: CacheId,
    /// The file. `None` once the cache does not have it any more and only the copy is to be removed.
    pub nar: Option<NarId>,
    /// The storage of the copy. `None` while any storage may take it.
    pub storage: Option<StorageId>,
    pub file_hash: Field<Entity, FileHash>,
    pub compression: Field<Entity, Compression>,
    pub file_size: Field<Entity, Count>,
    pub state: Field<Entity, CopyState>,
    /// The number of sound copies when this one was found missing. Those of the lowest are made first.
    pub exposure: i64,
    /// When a daemon last said that it works on the copy.
    pub claimed_at: Option<UnixTime>,
    /// When the bytes were last compared with the hash.
    pub checked_at: Option<UnixTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
