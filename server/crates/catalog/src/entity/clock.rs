//! When a daemon last knew the time. One row.

use sea_orm::entity::prelude::*;

use crate::UnixTime;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "clock")]
pub struct Model {
    /// Always the same.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub seen_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
