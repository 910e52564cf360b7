//! Uploads that a daemon has begun to take and not finished.

use sea_orm::entity::prelude::*;

use crate::{CacheId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "open_upload")]
pub struct Model {
    /// The UUID that the client knows as `narId`, 16 bytes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub nar_id: Vec<u8>,
    pub cache: CacheId,
    /// The daemon that has the parts, by the name it chose.
    pub owner: String,
    /// SHA-256 of the file that came in one piece and waits for its narinfo.
    pub file_hash: Option<Vec<u8>>,
    pub created_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
