//! Deploy agents, declared in the configuration. One that vanished from it is disabled, never deleted.

use sea_orm::entity::prelude::*;

use crate::{UnixTime, WorkspaceId};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agent")]
pub struct Model {
    /// The UUID that clients know it by, 16 bytes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Vec<u8>,
    pub name: String,
    pub workspace: WorkspaceId,
    pub enabled: bool,
    pub created_at: UnixTime,
    /// The number of its newest deployment, 0 before the first.
    pub last_number: i64,
    /// What its client said when it connected last.
    pub version: Option<String>,
    pub system: Option<String>,
    pub last_seen_at: Option<UnixTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
