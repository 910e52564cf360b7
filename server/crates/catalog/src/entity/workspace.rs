//! Deploy workspaces, declared in the configuration. One that vanished from it is disabled, never deleted.

use sea_orm::entity::prelude::*;

use crate::{CacheId, UnixTime, WorkspaceId};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspace")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: WorkspaceId,
    pub name: String,
    pub cache: CacheId,
    pub enabled: bool,
    pub created_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
