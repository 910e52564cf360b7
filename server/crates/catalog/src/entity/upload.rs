//! Uploads that were completed, so that a repeated `complete` gets the same answer.

use sea_orm::entity::prelude::*;

use crate::{CacheId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "upload")]
pub struct Model {
    /// The UUID that the client knows as `narId`, 16 bytes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub nar_id: Vec<u8>,
    pub cache: CacheId,
    /// 20 bytes.
    pub path_hash: Vec<u8>,
    pub finished_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
