//! SQLite: a file that only this daemon writes. Everything specific to SQLite is here.

mod writer;

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, SqlxError, SqlxSqliteConnector};

use self::writer::WriterConnection;
use crate::writer::{Command, Turn};
use crate::{CatalogError, migration};

/// How long a statement waits while another process, such as a backup, locks the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of concurrent readers. Each connection has a thread.
const READERS: u32 = 4;
/// The size in bytes to which the write-ahead log is truncated after a checkpoint.
const JOURNAL_SIZE_LIMIT: &str = "67108864";

/// One connection for writing and several for reading.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: WriterConnection,
    readers: DatabaseConnection,
}

impl Sqlite {
    /// Opens the database at `url` (`sqlite:///absolute/path` or `sqlite://relative/path`), creates the file (mode 0600) and
    /// its directory (mode 0700) if they are missing, and brings its schema up to date.
    pub(crate) async fn open(url: &str) -> Result<Self, CatalogError> {
        let database = Self::connect(url).await?;
        let transaction = database.writer.begin().await?;
        migration::migrate(&transaction).await?;
        transaction.commit().await?;
        Ok(database)
    }

    async fn connect(url: &str) -> Result<Self, CatalogError> {
        if is_in_memory(url) {
            return Err(CatalogError::InMemory);
        }
        let options: SqliteConnectOptions =
            url.parse().map_err(|error: SqlxError| CatalogError::InvalidUrl { reason: error.to_string() })?;
        let options = options.foreign_keys(true).busy_timeout(BUSY_TIMEOUT).disable_statement_logging();
        let path = options.get_filename().to_owned();
        create_private_file(&path)?;
        let open_error = |source: DbErr| CatalogError::Open { path: path.clone(), source: source.into() };
        let writer = pool(1)
            .connect_with(
                options
                    .clone()
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT),
            )
            .await
            .map_err(connection_error)
            .map_err(open_error)?;
        let readers = pool(READERS)
            .connect_with(options.read_only(true))
            .await
            .map_err(connection_error)
            .map_err(open_error)?;
        Ok(Self {
            writer: WriterConnection::new(writer),
            readers: SqlxSqliteConnector::from_sqlx_sqlite_pool(readers),
        })
    }

    /// Where queries go.
    pub(crate) fn readers(&self) -> &DatabaseConnection {
        &self.readers
    }

    /// Begins a transaction outside of the writer's queue, on a database that nobody else uses yet.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        self.writer.begin().await
    }

    /// Runs all of the commands in one transaction.
    pub(crate) async fn commit(&self, commands: &mut [Box<dyn Command>]) -> Turn {
        let outcome = self.writer.run(commands).await;
        Turn { commands: commands.len(), outcome }
    }

    pub(crate) async fn close(&self) {
        // The writer is closed last: then SQLite moves its log into the database and removes it, which a read-only
        // connection cannot do.
        if let Err(error) = self.readers.close_by_ref().await {
            tracing::warn!(%error, "closing the catalog failed");
        }
        self.writer.close().await;
    }
}

/// Whether the URL asks for a database in memory. The parsed options do not tell.
fn is_in_memory(url: &str) -> bool {
    let database = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let (file, parameters) = database.split_once('?').unwrap_or((database, ""));
    file == ":memory:" || parameters.split('&').any(|parameter| parameter == "mode=memory")
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(connections)
        .max_lifetime(None)
        .idle_timeout(None)
        // A local file does not lose its connection.
        .test_before_acquire(false)
}

fn connection_error(error: SqlxError) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

/// Creates the file with mode 0600. SQLite gives the files beside the database the same mode.
fn create_private_file(path: &Path) -> Result<(), CatalogError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| CatalogError::Create { path, reason: error.to_string() }
    };
    if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
