//! How far long jobs over a storage have come.

use sea_orm::entity::prelude::*;

use crate::{NarId, StorageId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage_job")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub storage: StorageId,
    /// A word for what the job does.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The last NAR file it is done with.
    pub after: Option<NarId>,
    pub started_at: UnixTime,
    pub finished_at: Option<UnixTime>,
    pub files: i64,
    pub bytes: i64,
    pub damaged: i64,
    pub failed: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
