//! Sessions of people who have logged in to the web pages.

use sea_orm::entity::prelude::*;

use crate::UnixTime;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "web_session")]
pub struct Model {
    /// A keyed hash of the secret in the cookie, which is not stored.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Vec<u8>,
    /// The UUID of the token that was presented.
    pub token: String,
    pub created_at: UnixTime,
    pub expires_at: UnixTime,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
