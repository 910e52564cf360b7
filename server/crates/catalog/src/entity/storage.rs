//! Storages, declared in the configuration per cache. A storage that is no longer declared is disabled, never deleted.

use sea_orm::entity::prelude::*;

use crate::{CacheId, StorageId};

/// A storage of a cache as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage")]
pub struct Model {
    /// Stays the same while the storage is disabled and enabled.
    #[sea_orm(primary_key)]
    pub id: StorageId,
    /// The cache that uses the storage.
    pub cache: CacheId,
    /// The name, unique within the cache.
    pub name: String,
    /// The kind of storage, such as `local`.
    pub kind: String,
    /// Whether the configuration declares the storage. Paths whose files are on a disabled storage are hidden.
    pub enabled: bool,
    /// The id in the marker file of a local storage, once it is known.
    pub marker: Option<String>,
    /// The directory or URL that the configuration declared last. `None` if that was before locations were recorded.
    pub location: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
