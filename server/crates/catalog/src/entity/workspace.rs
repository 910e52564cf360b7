//! Deploy workspaces, declared in the configuration. A workspace that is no longer declared is disabled, never deleted.

use sea_orm::entity::prelude::*;

use crate::{CacheId, UnixTime, WorkspaceId};

/// A deploy workspace as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspace")]
pub struct Model {
    /// Stays the same while the workspace is disabled and enabled.
    #[sea_orm(primary_key)]
    pub id: WorkspaceId,
    /// The unique name.
    pub name: String,
    /// The cache that the agents of the workspace fetch from.
    pub cache: CacheId,
    /// Whether the configuration declares the workspace.
    pub enabled: bool,
    /// When the configuration first declared the workspace.
    pub created_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
