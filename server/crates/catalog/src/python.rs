//! The database of the original Python server, of which the paths are adopted.
//!
//! Its tables are those of `cache_server_app/src/database.py` there.

use std::path::Path;

use sea_orm::sqlx;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, SqlxSqliteConnector, Statement};

use crate::CatalogError;
use crate::sqlite::connection_error;

/// The paths of a cache, with the storages that have their files.
const QUERY: &str = "SELECT storage.name AS storage, storage.type AS kind, storage.root AS root, store_hash, store_suffix, \
     file_hash, nar_hash, nar_size, deriver, refs \
     FROM store_path JOIN storage ON storage.id = store_path.storage_id \
     JOIN binary_cache ON binary_cache.id = storage.cache_id WHERE binary_cache.name = ?";

/// A path as the original server recorded it. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct OriginalPath {
    /// The name of the storage.
    pub storage: String,
    /// `local` or `s3`.
    pub kind: String,
    /// The root of the storage. Its files lie in a directory below that has the name of the storage.
    pub root: String,
    /// The hash of the store path.
    pub store_hash: String,
    /// Its name.
    pub store_suffix: String,
    /// SHA-256 of the compressed file in hexadecimal, which is its name as well.
    pub file_hash: String,
    /// SHA-256 of the NAR, as a client sent it.
    pub nar_hash: String,
    /// Length of the NAR in bytes.
    pub nar_size: i64,
    /// The base name of the deriver, or `unknown-deriver`.
    pub deriver: String,
    /// The base names of the references, separated by spaces.
    pub refs: String,
}

/// Reads what the original server recorded of a cache. Its database is not changed.
///
/// # Errors
///
/// If `file` is not such a database.
pub async fn read_original_database(file: &Path, cache: &str) -> Result<Vec<OriginalPath>, CatalogError> {
    let open_error = |source: sqlx::Error| CatalogError::Open {
        path: file.to_owned(),
        source: connection_error(source).into(),
    };
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let pool = SqlitePool::connect_with(options).await.map_err(open_error)?;
    let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
    let query = Statement::from_sql_and_values(DbBackend::Sqlite, QUERY, [cache.into()]);
    let rows = connection.query_all_raw(query).await;
    let _ = connection.close().await;
    let paths = rows?.iter().map(|row| OriginalPath::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(paths)
}
