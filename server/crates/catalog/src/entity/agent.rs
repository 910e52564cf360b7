//! Deploy agents, declared in the configuration. An agent that is no longer declared is disabled, never deleted.

use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Count;
use crate::{AgentId, UnixTime, WorkspaceId};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agent")]
pub struct Model {
    /// The UUID that clients know it by.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Field<Entity, AgentId>,
    pub name: String,
    pub workspace: WorkspaceId,
    pub enabled: bool,
    pub created_at: UnixTime,
    /// The number of its newest deployment, 0 before the first.
    pub last_number: Field<Entity, Count>,
    /// What its client reported at its last connection.
    pub version: Option<String>,
    pub system: Option<String>,
    pub last_seen_at: Option<UnixTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
