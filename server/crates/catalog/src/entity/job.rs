//! The jobs that ran last on each daemon.

use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Count;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    /// The daemon; empty if it has the catalog to itself.
    #[sea_orm(primary_key, auto_increment = false)]
    pub node: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: Field<Entity, Count>,
    /// What the daemon knows of the job, in its own format.
    pub info: String,
    /// What was asked for, in the same format, as long as the job has to be resumed.
    pub request: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
