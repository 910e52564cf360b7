//! Public keys that caches publish or have published. At most one unretired key per cache and name.

use sea_orm::entity::prelude::*;

use crate::{CacheId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_key")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub cache: CacheId,
    pub name: String,
    /// 32 bytes.
    pub public_key: Vec<u8>,
    /// `server` or `client`.
    pub origin: String,
    pub created_at: UnixTime,
    pub retired_at: Option<UnixTime>,
    /// The secret half, encrypted, where several daemons share it.
    pub sealed: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
