//! Issued access tokens. The token itself is not stored.

use sea_orm::entity::prelude::*;
use uuid::Uuid;

use super::field::Field;
use crate::tokens::TokenRight;
use crate::{TokenCaches, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "token")]
pub struct Model {
    /// The UUID in the `jti` claim.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Field<Entity, Uuid>,
    pub subject: String,
    /// The names of caches, or the name of the one agent or workspace that the token is for.
    pub caches: Field<Entity, TokenCaches>,
    pub permission: Field<Entity, TokenRight>,
    pub created_at: UnixTime,
    pub expires_at: Option<UnixTime>,
    pub revoked_at: Option<UnixTime>,
    /// In bytes.
    pub daily_limit: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
