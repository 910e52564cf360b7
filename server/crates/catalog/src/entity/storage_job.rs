//! Progress of long jobs over a storage.

use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Count;
use crate::{NarId, StorageId, StorageJob, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage_job")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub storage: StorageId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: Field<Entity, StorageJob>,
    /// The last NAR file that it has processed.
    pub after: Option<NarId>,
    pub started_at: UnixTime,
    pub finished_at: Option<UnixTime>,
    pub files: Field<Entity, Count>,
    pub bytes: Field<Entity, Count>,
    pub damaged: Field<Entity, Count>,
    pub failed: Field<Entity, Count>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
