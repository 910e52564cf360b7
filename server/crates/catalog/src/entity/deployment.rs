//! Deployments: the systems that agents are or were asked to activate.

use std::collections::BTreeMap;

use nix_formats::StorePathHash;
use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Count;
use crate::{AgentId, DeploymentId, DeploymentStatus, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deployment")]
pub struct Model {
    /// The UUID that clients know it by.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Field<Entity, DeploymentId>,
    pub agent: Field<Entity, AgentId>,
    /// 1 for the first deployment of the agent.
    pub number: Field<Entity, Count>,
    pub store_path: String,
    /// The hash part of `store_path`.
    pub path_hash: Field<Entity, StorePathHash>,
    /// A JSON object from systems to scripts. Null if there are none.
    pub rollback_scripts: Option<Field<Entity, BTreeMap<String, String>>>,
    pub status: Field<Entity, DeploymentStatus>,
    /// In bytes. Null until the agent reports it.
    pub closure_size: Option<Field<Entity, Count>>,
    pub created_at: UnixTime,
    /// When it was last sent to the agent, by our clock.
    pub delivered_at: Option<UnixTime>,
    /// By the clock of the agent.
    pub started_at: Option<UnixTime>,
    /// By the clock of the agent if it reported the end, else by ours.
    pub finished_at: Option<UnixTime>,
    /// When the agent reported the start, by our clock.
    pub begun_at: Option<UnixTime>,
    /// Lines of its log.
    pub log_lines: Field<Entity, Count>,
    pub log_bytes: Field<Entity, Count>,
    /// Whether the log lacks lines.
    pub log_truncated: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
