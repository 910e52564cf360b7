//! Paths that a cache does not hold but whose presence elsewhere it relies on: see `elsewhere.rs`.

use nix_formats::StorePathHash;
use sea_orm::entity::prelude::*;

use super::field::Field;
use crate::{CacheId, UnixTime};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "path_elsewhere")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub cache: CacheId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: Field<Entity, StorePathHash>,
    /// The name of the path behind its hash.
    pub name: String,
    /// The URL of the upstream, or the name of the other cache.
    pub source: String,
    /// The other cache of this daemon that has it, if it is none of the upstreams.
    pub sister: Option<CacheId>,
    /// When a client was last told that it need not be pushed, or a closure was found to need it.
    pub noted_at: UnixTime,
    /// When it was last looked for.
    pub looked_at: UnixTime,
    /// When it was first found to be gone from there.
    pub missing_since: Option<UnixTime>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
