//! The server keys that daemons have used with the catalog, as fingerprints, in the order in which they came into use.

use sea_orm::entity::prelude::*;

use crate::UnixTime;

/// A server key that came into use.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "server_key")]
pub struct Model {
    /// Its row.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The fingerprint of the key, from which the key cannot be computed.
    pub fingerprint: String,
    /// When it came into use, in place of the one before.
    pub since: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
