//! Deployments: what an agent was or is to be told to run.

use sea_orm::entity::prelude::*;

use crate::UnixTime;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deployment")]
pub struct Model {
    /// The UUID that clients know it by, 16 bytes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Vec<u8>,
    /// The UUID of its agent, 16 bytes.
    pub agent: Vec<u8>,
    /// 1 for the first deployment of the agent.
    pub number: i64,
    pub store_path: String,
    /// The hash part of it, 20 bytes.
    pub path_hash: Vec<u8>,
    /// A JSON object from systems to scripts, or null.
    pub rollback_scripts: Option<String>,
    /// `Pending`, `InProgress`, `Cancelled`, `Failed` or `Succeeded`.
    pub status: String,
    /// In bytes, once the agent has said so.
    pub closure_size: Option<i64>,
    pub created_at: UnixTime,
    /// When it was last sent to the agent.
    pub delivered_at: Option<UnixTime>,
    /// By the clock of the agent.
    pub started_at: Option<UnixTime>,
    /// By the clock of the agent, where it said so.
    pub finished_at: Option<UnixTime>,
    /// When the agent was heard to begin, by our clock.
    pub begun_at: Option<UnixTime>,
    /// Lines of its log, and their bytes.
    pub log_lines: i64,
    pub log_bytes: i64,
    /// Whether lines were left out.
    pub log_truncated: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
