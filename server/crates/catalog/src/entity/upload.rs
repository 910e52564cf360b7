//! Completed uploads, kept so that a repeated `complete` gets the same answer.

use nix_formats::StorePathHash;
use sea_orm::entity::prelude::*;
use uuid::Uuid;

use super::field::Field;
use crate::{CacheId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "upload")]
pub struct Model {
    /// The UUID that the client knows as `narId`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub nar_id: Field<Entity, Uuid>,
    pub cache: CacheId,
    pub path_hash: Field<Entity, StorePathHash>,
    pub finished_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
