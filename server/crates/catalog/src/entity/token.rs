//! Access tokens that were issued. The token itself is not stored.

use sea_orm::entity::prelude::*;

use crate::UnixTime;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "token")]
pub struct Model {
    /// The UUID in the `jti` claim, 16 bytes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Vec<u8>,
    pub subject: String,
    /// `*` or a JSON list of names: of caches, or of the one agent or workspace that it is for.
    pub caches: String,
    /// `read`, `write` or `admin` on caches, `agent`, or `activate` in a workspace.
    pub permission: String,
    pub created_at: UnixTime,
    pub expires_at: Option<UnixTime>,
    pub revoked_at: Option<UnixTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
