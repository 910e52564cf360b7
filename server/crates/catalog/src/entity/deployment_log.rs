//! What deployments print, line by line.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deployment_log")]
pub struct Model {
    /// The UUID of the deployment, 16 bytes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub deployment: Vec<u8>,
    /// 1 for the first line.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    /// As the agent wrote it.
    pub time: String,
    pub line: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
