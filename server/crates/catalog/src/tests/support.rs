//! Backends to run on, and things to put into a catalog.

use std::path::PathBuf;

use futures_util::TryStreamExt;
use nix_formats::{Compression, FileHash, NarHash, StorePath, StorePathHash};
use sea_orm::{DatabaseConnection, EntityTrait};
use tempfile::TempDir;

use super::postgres::{Database, Server};
use crate::entity::{nar, storage};
use crate::{
    CacheId, Catalog, CatalogError, CommitOutcome, Damage, DeclaredCache, DeclaredStorage, NarId, NarRecord,
    NewNar, PathCommit, PathId, PathRecord, StorageId, StorageRecord, UnixTime,
};

/// A database that exists for one test.
pub(crate) struct Backend {
    url: String,
    /// Holds the file of SQLite.
    directory: Option<TempDir>,
    /// Holds the database of PostgreSQL.
    database: Option<Database>,
}

impl Backend {
    pub(crate) fn sqlite_file() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            url: format!("sqlite://{}/state/catalog.db", directory.path().display()),
            directory: Some(directory),
            database: None,
        }
    }

    pub(crate) fn postgres() -> Self {
        let database = Server::shared().database();
        Self { url: database.url(), directory: None, database: Some(database) }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.directory.is_some()
    }

    pub(crate) fn sqlite_path(&self) -> PathBuf {
        self.directory.as_ref().unwrap().path().join("state/catalog.db")
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }

    /// A connection of its own, which may write and finds no schema unless a catalog was opened before.
    pub(crate) async fn connect(&self) -> DatabaseConnection {
        let url = match &self.directory {
            Some(_) => {
                std::fs::create_dir_all(self.sqlite_path().parent().unwrap()).unwrap();
                format!("{}?mode=rwc", self.url)
            }
            None => self.url.clone(),
        };
        sea_orm::Database::connect(url).await.unwrap()
    }

    pub(crate) async fn open(&self) -> Catalog {
        Catalog::open(&self.url).await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Catalog, crate::CatalogError> {
        Catalog::open(&self.url).await
    }

    /// A catalog with one cache that has two storages.
    pub(crate) async fn fixture(&self) -> Fixture {
        Fixture::new(self.open().await, "main").await
    }
}

/// A catalog, one of its caches, and two storages of that.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) catalog: Catalog,
    pub(crate) cache: CacheId,
    pub(crate) first: StorageId,
    pub(crate) second: StorageId,
}

impl Fixture {
    pub(crate) async fn new(catalog: Catalog, name: &str) -> Self {
        let caches = catalog.reconcile_caches(&[declared_cache(name)]).await.unwrap();
        let cache = caches.iter().find(|cache| cache.name == name).unwrap().id;
        let storages = declare_storages(&catalog, cache, &["first", "second"]).await;
        let storage = |name: &str| {
            storages.iter().find(|storage| storage.cache == cache && storage.name == name).unwrap().id
        };
        Self { cache, first: storage("first"), second: storage("second"), catalog }
    }

    /// Declares these storages of the cache and no others: `first`, `second`, both or none.
    pub(crate) async fn declare(&self, names: &[&str]) {
        declare_storages(&self.catalog, self.cache, names).await;
    }

    /// A commit of path `path` as file `file` in the first storage, with two references and a signature.
    pub(crate) fn commit(&self, path: u32, file: u32) -> PathCommit {
        PathCommit {
            cache: self.cache,
            path: store_path(path),
            nar: new_nar(self.first, file),
            references: vec![store_path(path + 1000), store_path(path)],
            deriver: Some(format!("{}.drv", store_path(path + 2000).base_name())),
            ca: None,
            signatures: vec![format!("main-1:{path}")],
            upload: None,
            pushed_by: Some(uuid::Uuid::from_u128(17)),
            created_at: UnixTime(1_000_000),
            turns: None,
            unavailable: vec![],
            copies: 0,
        }
    }

    /// Commits path `path` as file `file`, which must be new.
    pub(crate) async fn create(&self, path: u32, file: u32) -> PathId {
        match self.catalog.commit_path(self.commit(path, file)).await {
            Ok(CommitOutcome::Created { path, .. }) => path.id,
            other => panic!("{other:?}"),
        }
    }

    /// File `file`.
    pub(crate) async fn nar(&self, file: u32) -> NarRecord {
        self.catalog.find_nar(self.cache, &file_hash(file)).await.unwrap().unwrap()
    }

    /// Path `path`.
    pub(crate) async fn path(&self, path: u32) -> PathRecord {
        self.catalog.find_path(self.cache, &path_hash(path)).await.unwrap().unwrap()
    }

    /// Marks file `file` as damaged.
    pub(crate) async fn damage(&self, file: u32) -> Vec<StorePathHash> {
        let mut hashes = self.catalog.damage(self.nar(file).await.id).await.unwrap();
        hashes.sort();
        hashes
    }

    /// All visible hashes, in order.
    pub(crate) async fn visible(&self) -> Vec<StorePathHash> {
        let batches: Vec<_> = self.catalog.visible_path_hashes(self.cache).try_collect().await.unwrap();
        batches.concat()
    }
}

impl Catalog {
    /// Marks a file as damaged where it has its home, and returns the paths that this hides.
    pub(crate) async fn damage(&self, nar: NarId) -> Result<Vec<StorePathHash>, CatalogError> {
        let row = nar::Entity::find_by_id(nar).one(self.readers()).await?;
        let storage = row.map_or(StorageId(0), |row| row.storage);
        match self.mark_damaged(nar, storage).await? {
            Damage::Hidden(paths) => Ok(paths),
            Damage::Saved(_) | Damage::Unconcerned => Ok(Vec::new()),
        }
    }
}

/// Declares storages of a cache. Those of other caches stay as they are.
async fn declare_storages(catalog: &Catalog, cache: CacheId, names: &[&str]) -> Vec<StorageRecord> {
    let known = storage::Entity::find().all(catalog.readers()).await.unwrap();
    let others = known
        .iter()
        .filter(|other| other.cache != cache && other.enabled)
        .map(|other| declared_storage(other.cache, &other.name));
    let own = names.iter().map(|name| declared_storage(cache, name));
    let declared: Vec<_> = others.chain(own).collect();
    catalog.reconcile_storages(&declared).await.unwrap()
}

pub(crate) fn declared_cache(name: &str) -> DeclaredCache {
    DeclaredCache { name: name.to_owned(), public: true, enabled: true }
}

pub(crate) fn declared_storage(cache: CacheId, name: &str) -> DeclaredStorage {
    DeclaredStorage {
        cache,
        name: name.to_owned(),
        kind: "local".to_owned(),
        location: format!("/srv/{name}"),
    }
}

pub(crate) fn path_hash(number: u32) -> StorePathHash {
    StorePathHash::from_bytes(numbered(number))
}

pub(crate) fn store_path(number: u32) -> StorePath {
    StorePath::new(path_hash(number), &format!("path-{number}")).unwrap()
}

pub(crate) fn file_hash(number: u32) -> FileHash {
    FileHash::from_bytes(numbered(number))
}

/// File `number`, which has `number + 100` bytes and holds a NAR of ten times that.
pub(crate) fn new_nar(storage: StorageId, number: u32) -> NewNar {
    let file_size = u64::from(number) + 100;
    NewNar {
        storage,
        file_hash: file_hash(number),
        compression: Compression::Zstd,
        file_size,
        nar_hash: NarHash::from_bytes(numbered(number + 1)),
        nar_size: file_size * 10,
    }
}

/// Bytes that begin with the number, so that they sort like it.
fn numbered<const N: usize>(number: u32) -> [u8; N] {
    let mut bytes = [0xa5; N];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes
}
