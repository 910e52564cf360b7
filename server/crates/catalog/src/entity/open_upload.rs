//! Uploads that have begun and are not finished.

use nix_formats::FileHash;
use sea_orm::entity::prelude::*;
use uuid::Uuid;

use super::field::Field;
use crate::{CacheId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "open_upload")]
pub struct Model {
    /// The UUID that the client knows as `narId`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub nar_id: Field<Entity, Uuid>,
    pub cache: CacheId,
    /// The daemon that holds the parts, by the name it chose.
    pub owner: String,
    /// The hash of a file that arrived in one piece and waits for its narinfo.
    pub file_hash: Option<Field<Entity, FileHash>>,
    pub created_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
