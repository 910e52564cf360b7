//! SQLite: a file that only this daemon writes. Everything specific to SQLite is here.

mod read_only;
mod unhurried;
mod writer;

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, SqlxError, SqlxSqliteConnector};
use tokio::sync::{RwLock, RwLockReadGuard};

use self::writer::WriterConnection;
use crate::database::Pace;
use crate::writer::{Command, Turn};
use crate::{CatalogError, migration};

/// How long a statement waits while another process, such as a backup, locks the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of concurrent readers. Each connection has a thread.
const READERS: u32 = 4;
/// The memory for pages of the connection that writes, in KiB with a minus, as SQLite takes it. A commit touches some twenty pages of as
/// many indexes, at places that are as good as random.
const WRITER_PAGES: &str = "-32768";
/// The size in bytes to which the write-ahead log is truncated after a checkpoint.
const JOURNAL_SIZE_LIMIT: &str = "67108864";

/// A database file, and the connections to it.
#[derive(Debug)]
pub(crate) struct Sqlite {
    options: SqliteConnectOptions,
    /// Replaced only when a read-only database becomes writable.
    connections: RwLock<Connections>,
}

/// One connection for writing and several for reading.
#[derive(Debug)]
struct Connections {
    /// `None` while the database can only be read.
    writer: Option<WriterConnection>,
    readers: DatabaseConnection,
    /// For queries that yield to all others; the same while the database can only be read.
    unhurried: DatabaseConnection,
}

impl Sqlite {
    /// Opens the database at `url` (`sqlite:///absolute/path` or `sqlite://relative/path`), creates the file (mode 0600) and
    /// its directory (mode 0700) if they are missing, and brings its schema up to date.
    ///
    /// If the disk is full or failing, an existing database is opened read-only: see [`read_only`].
    pub(crate) async fn open(url: &str) -> Result<Self, CatalogError> {
        let database = Self::connect(url).await?;
        if let Some(writer) = &database.connections.read().await.writer {
            let transaction = writer.begin().await?;
            let migrated = migration::migrate(&transaction).await?;
            transaction.commit().await?;
            migrated.log(&database.options.get_filename().display().to_string());
        }
        Ok(database)
    }

    async fn connect(url: &str) -> Result<Self, CatalogError> {
        if is_in_memory(url) {
            return Err(CatalogError::InMemory);
        }
        let options: SqliteConnectOptions =
            url.parse().map_err(|error: SqlxError| CatalogError::InvalidUrl { reason: error.to_string() })?;
        let options = options.foreign_keys(true).busy_timeout(BUSY_TIMEOUT).disable_statement_logging();
        // Containers may have no directory for temporary files, and SQLite writes what a statement may have to take back to one.
        let options = options.pragma("temp_store", "memory");
        create_private_file(options.get_filename())?;
        let connections = match Connections::open(&options).await {
            Err(error) if error.is_of_disk() => match read_only::open(&options).await {
                Some(readers) => {
                    tracing::error!(%error, "the catalog can only be read until its disk has room and works");
                    Connections::for_reading(readers)
                }
                None => return Err(error),
            },
            opened => opened?,
        };
        Ok(Self { options, connections: RwLock::new(connections) })
    }

    /// Where queries go.
    pub(crate) async fn readers(&self, pace: Pace) -> RwLockReadGuard<'_, DatabaseConnection> {
        RwLockReadGuard::map(self.connections.read().await, |connections| match pace {
            Pace::Usual => &connections.readers,
            Pace::Unhurried => &connections.unhurried,
        })
    }

    /// The connection for writing of a database that can be written.
    #[cfg(test)]
    async fn writer(&self) -> RwLockReadGuard<'_, WriterConnection> {
        RwLockReadGuard::map(self.connections.read().await, |connections| {
            connections.writer.as_ref().expect("the database can be written")
        })
    }

    pub(crate) async fn is_read_only(&self) -> bool {
        self.connections.read().await.writer.is_none()
    }

    /// Begins a transaction outside of the writer's queue, on a database that nobody else uses yet.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        match &self.connections.read().await.writer {
            Some(writer) => writer.begin().await,
            None => Err(DbErr::Custom("the database can only be read".to_owned())),
        }
    }

    /// Runs all of the commands in one transaction.
    pub(crate) async fn commit(&self, commands: &mut [Box<dyn Command>]) -> Turn {
        let outcome = self.run(commands).await;
        Turn { commands: commands.len(), outcome }
    }

    async fn run(&self, commands: &mut [Box<dyn Command>]) -> Result<(), CatalogError> {
        if self.is_read_only().await {
            self.open_for_writing().await?;
        }
        match &self.connections.read().await.writer {
            Some(writer) => writer.run(commands).await,
            None => Err(CatalogError::Closed),
        }
    }

    /// Opens a read-only database again, for writing. Queries wait meanwhile.
    async fn open_for_writing(&self) -> Result<(), CatalogError> {
        let mut connections = self.connections.write().await;
        // It has the database to itself.
        connections.readers.close_by_ref().await?;
        connections.unhurried.close_by_ref().await?;
        match Connections::open(&self.options).await {
            Ok(opened) => {
                *connections = opened;
                Ok(())
            }
            Err(error) => {
                if let Some(readers) = read_only::open(&self.options).await {
                    *connections = Connections::for_reading(readers);
                }
                Err(CatalogError::Unavailable { reason: error.reason_of_disk() })
            }
        }
    }

    pub(crate) async fn close(&self) {
        let connections = self.connections.read().await;
        // The writer is closed last: then SQLite moves its log into the database and removes it, which a read-only
        // connection cannot do.
        for readers in [&connections.unhurried, &connections.readers] {
            if let Err(error) = readers.close_by_ref().await {
                tracing::warn!(%error, "closing the catalog failed");
            }
        }
        if let Some(writer) = &connections.writer {
            writer.close().await;
        }
    }
}

impl Connections {
    async fn open(options: &SqliteConnectOptions) -> Result<Self, CatalogError> {
        let open_error = |source: DbErr| {
            let path = options.get_filename().to_owned();
            CatalogError::Open { path, source: source.into() }
        };
        let writer = pool(1)
            .connect_with(
                options
                    .clone()
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("cache_size", WRITER_PAGES)
                    .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT),
            )
            .await
            .map_err(connection_error)
            .map_err(open_error)?;
        let readers = pool(READERS)
            .connect_with(options.clone().read_only(true))
            .await
            .map_err(connection_error)
            .map_err(open_error)?;
        let unhurried = unhurried::open(options.clone().read_only(true)).await.map_err(open_error)?;
        Ok(Self {
            writer: Some(WriterConnection::new(writer)),
            readers: SqlxSqliteConnector::from_sqlx_sqlite_pool(readers),
            unhurried: SqlxSqliteConnector::from_sqlx_sqlite_pool(unhurried),
        })
    }

    fn for_reading(readers: DatabaseConnection) -> Self {
        Self { writer: None, unhurried: readers.clone(), readers }
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

pub(crate) fn connection_error(error: SqlxError) -> DbErr {
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
