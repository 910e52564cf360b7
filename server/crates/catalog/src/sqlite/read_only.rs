//! Opening a database whose disk is full or failing, or whose file system is read-only.
//!
//! SQLite needs room for the index of its write-ahead log even to read. A connection that has the database to itself keeps the
//! index in memory instead (<https://www.sqlite.org/wal.html>, "Use of WAL Without Shared-Memory"). Without a log, a file on a
//! read-only file system can be opened as immutable.

use std::fs;
use std::path::Path;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteLockingMode, SqlitePool};
use sea_orm::{DatabaseConnection, SqlxSqliteConnector};

use super::pool;
use crate::migration;

/// Opens a database for queries alone, if it can be read and has the current schema.
pub(super) async fn open(options: &SqliteConnectOptions) -> Option<DatabaseConnection> {
    let alone = options.clone().locking_mode(SqliteLockingMode::Exclusive);
    if let Some(connection) = connect(alone).await {
        return Some(connection);
    }
    if has_log(options.get_filename()) {
        return None;
    }
    connect(options.clone().read_only(true).immutable(true)).await
}

async fn connect(options: SqliteConnectOptions) -> Option<DatabaseConnection> {
    let opened: Result<SqlitePool, _> = pool(1).connect_with(options).await;
    let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(opened.ok()?);
    if migration::is_current(&connection).await {
        return Some(connection);
    }
    let _ = connection.close().await;
    None
}

/// Whether transactions may be in the write-ahead log only.
fn has_log(database: &Path) -> bool {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(log).is_ok_and(|log| log.len() > 0)
}
