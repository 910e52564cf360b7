//! The logs of deployments, line by line.

use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Count;
use crate::DeploymentId;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deployment_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub deployment: Field<Entity, DeploymentId>,
    /// 1 for the first line.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: Field<Entity, Count>,
    /// The time as the agent wrote it.
    pub time: String,
    pub line: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
