//! Realisations of content-addressed derivations that lie on the storages of a cache: see `realisations.rs`.

use nix_formats::StorePathHash;
use sea_orm::entity::prelude::*;

use super::field::Field;
use crate::CacheId;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "realisation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub cache: CacheId,
    /// The key of the file in the storage.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The path that it leads to.
    pub path: Field<Entity, StorePathHash>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
