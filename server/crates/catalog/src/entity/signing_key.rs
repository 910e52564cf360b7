//! Public keys that caches publish or have published. At most one unretired key per cache and name.

use sea_orm::entity::prelude::*;

use super::field::Field;
use super::values::Sealed;
use crate::{CacheId, KeyOrigin, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_key")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub cache: CacheId,
    pub name: String,
    pub public_key: Field<Entity, [u8; 32]>,
    pub origin: Field<Entity, KeyOrigin>,
    pub created_at: UnixTime,
    pub retired_at: Option<UnixTime>,
    /// The secret half, encrypted, if several daemons share it.
    pub sealed: Option<Field<Entity, Sealed>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
