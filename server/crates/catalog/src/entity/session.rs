//! Those who proved by a token of an OpenID provider, or by a certificate, who they are.

use sea_orm::entity::prelude::*;
use uuid::Uuid;

use super::field::Field;
use crate::tokens::TokenRight;
use crate::{TokenCaches, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Field<Entity, Uuid>,
    /// The name of the provider; `None` for a certificate.
    pub provider: Option<String>,
    pub subject: String,
    /// A JSON object of lists.
    pub claims: String,
    /// The names of the caches.
    pub caches: Field<Entity, TokenCaches>,
    pub permission: Field<Entity, TokenRight>,
    pub created_at: UnixTime,
    pub expires_at: UnixTime,
    pub revoked_at: Option<UnixTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
