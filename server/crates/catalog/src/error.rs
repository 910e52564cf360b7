//! Errors of the catalog.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::{ConnAcquireErr, DbErr, EntityName, RuntimeErr, SqlxError};

use crate::entity::field::Damage;
use crate::{CacheId, StorageId};

/// Why an operation of the catalog failed. Messages name tables and files and hold no secrets, but they are for logs and
/// operators, not for clients.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database URL names an unsupported kind of database. The URL itself is left out because it may hold a
    /// password.
    #[error(
        "unsupported database `{scheme}`: expected sqlite:///path/to/file or postgres://user@host/database"
    )]
    UnsupportedDatabase {
        /// What stands before the first colon of the URL.
        scheme: String,
    },
    /// The database URL cannot be parsed.
    #[error("invalid database URL: {reason}")]
    InvalidUrl {
        /// What the parser reported.
        reason: String,
    },
    /// The database URL asks for a database in memory.
    #[error("a database in memory is lost when the daemon stops: name a file, as in sqlite:///path/to/file")]
    InMemory,
    /// The database file or its directory could not be created.
    #[error("cannot create {}: {reason}", path.display())]
    Create {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system reported.
        reason: String,
    },
    /// A backup is to be restored to a database that holds a catalog.
    #[error("the database already holds a catalog: name an empty one")]
    NotEmpty,
    /// The database exists but cannot be opened.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the driver reported.
        source: DriverError,
    },
    /// The database server cannot be reached, or refused the connection, when the catalog was opened.
    #[error("cannot use the database at {server}: {reason}")]
    Connect {
        /// Address and name of the database, without user and password.
        server: String,
        /// What the driver or the server reported.
        reason: String,
    },
    /// A newer version of this program changed the database. An older one could lose what the newer one recorded.
    #[error(
        "a newer version of cache-server made the database (it has the migration `{migration}`): start that \
         version, or restore a backup from before the upgrade"
    )]
    NewerDatabase {
        /// The first applied migration that this version does not know.
        migration: String,
    },
    /// The database was made before the first release, by a version with only some of the early migrations.
    #[error(
        "an early development version of cache-server made the database (it has {applied} of {of} early \
         migrations): move the database away and rebuild the catalog from the storages"
    )]
    EarlyDatabase {
        /// How many of the early migrations were applied.
        applied: usize,
        /// How many early migrations there were.
        of: usize,
    },
    /// The database server is down or too slow, or the disk of a SQLite database is full or failing. Nothing was changed;
    /// the same call can succeed later.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// What the driver or the server reported.
        reason: String,
    },
    /// The connection to the database server was lost during a commit, and the server did not report the outcome in time.
    /// The write took effect completely or not at all: before undoing it, check once the database is back.
    #[error("the connection to the database was lost during a commit, which may have succeeded: {reason}")]
    Uncertain {
        /// What the driver or the server reported.
        reason: String,
    },
    /// The database refused a statement. The text has the cause, so there is no source.
    #[error("the database refused a statement: {0}")]
    Database(DriverError),
    /// A row holds a value that this program never writes.
    #[error("the catalog is damaged: column {column} of {table} holds {found}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
        /// What was found, shortened to its kind and length where it is binary.
        found: String,
    },
    /// A number given to the catalog does not fit a signed 64-bit column.
    #[error("{what} {value} is too large for the catalog")]
    TooLarge {
        /// What the number counts.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// A signature holds a line break, which would end the narinfo line it is to stand on.
    #[error("a signature holds a line break")]
    MultilineSignature,
    /// One file hash was committed with two different contents, so one of the two was not verified.
    #[error("the file {file_hash} is already recorded with another NAR hash, size or compression")]
    ContradictingNar {
        /// SHA-256 of the compressed file, in nix32.
        file_hash: String,
    },
    /// The storage of a file does not belong to the cache or is disabled. The configuration changed after the storage was
    /// chosen: choose again.
    #[error("the cache does not use storage {}", storage.0)]
    StorageNotInUse {
        /// The storage.
        storage: StorageId,
    },
    /// A signing key of this name was published with another public key. Nix keeps one key per name, so the name cannot be
    /// reused.
    #[error("cache {} already has another signing key named `{name}`", cache.0)]
    KeyNameTaken {
        /// The cache.
        cache: CacheId,
        /// The name of the key.
        name: String,
    },
    /// The catalog was closed, or its writer has stopped.
    #[error("the catalog is closed")]
    Closed,
}

/// An error of the database driver. The driver's errors repeat each cause in the text of the error above it, so this one has
/// the whole text and no source.
#[derive(Clone, Debug)]
pub struct DriverError(DbErr);

impl fmt::Display for DriverError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Error for DriverError {}

impl From<DbErr> for DriverError {
    fn from(error: DbErr) -> Self {
        Self(error)
    }
}

impl CatalogError {
    /// A value in a column of `E` that this program never writes.
    pub(crate) fn corrupt<E: EntityName + Default>(column: &str, found: impl fmt::Display) -> Self {
        let table = E::default().table_name();
        Self::Corrupt { table, column: column.to_owned(), found: found.to_string() }
    }

    /// Returns whether the database failed, not the call. The same call can succeed once the database is back.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Uncertain { .. })
    }
}

impl CatalogError {
    /// Whether a database could not be opened because its disk is full, failing or read-only.
    pub(crate) fn is_of_disk(&self) -> bool {
        self.code_of_open().is_some_and(|code| SQLITE_OF_DISK.contains(&code))
    }

    /// Returns what is wrong with the disk and what to do about it.
    pub(crate) fn reason_of_disk(&self) -> String {
        match self.code_of_open().and_then(sqlite_advice) {
            Some(advice) => format!("{advice} ({self})"),
            None => self.to_string(),
        }
    }

    /// Returns the primary code of SQLite if this is about opening a database.
    fn code_of_open(&self) -> Option<i32> {
        let Self::Open { source, .. } = self else { return None };
        driver_error(&source.0).and_then(sqlite_code)
    }
}

impl From<DbErr> for CatalogError {
    fn from(error: DbErr) -> Self {
        if matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)) {
            Self::Closed
        } else if let Some(Damage { table, column, found }) = Damage::in_error(&error) {
            Self::Corrupt { table, column: column.clone(), found: found.clone() }
        } else if is_unavailable(&error) {
            let advice = driver_error(&error).and_then(sqlite_code).and_then(sqlite_advice);
            let reason = advice.map_or_else(|| error.to_string(), |advice| format!("{advice} ({error})"));
            Self::Unavailable { reason }
        } else {
            Self::Database(error.into())
        }
    }
}

/// Returns whether the database could not be reached, as opposed to having refused the statement.
pub(crate) fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) | DbErr::Conn(_) => true,
        _ => match driver_error(error) {
            Some(
                SqlxError::Io(_)
                | SqlxError::Tls(_)
                | SqlxError::Protocol(_)
                | SqlxError::PoolTimedOut
                | SqlxError::WorkerCrashed
                | SqlxError::BeginFailed,
            ) => true,
            Some(SqlxError::Database(error)) => {
                error
                    .try_downcast_ref::<PgDatabaseError>()
                    .is_some_and(|error| is_temporary_state(error.code()))
                    || primary_code(&**error).is_some_and(|code| SQLITE_TEMPORARY.contains(&code))
            }
            _ => false,
        },
    }
}

/// Returns whether the disk of a SQLite database is full.
pub(crate) fn is_disk_full(error: &DbErr) -> bool {
    driver_error(error).and_then(sqlite_code) == Some(SQLITE_FULL)
}

/// Returns the error of the driver, if there is one.
fn driver_error(error: &DbErr) -> Option<&SqlxError> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// Codes of SQLite (<https://www.sqlite.org/rescode.html>) that concern its files and disk, not the statement.
const SQLITE_TEMPORARY: [i32; 8] = [
    SQLITE_BUSY,
    6, // SQLITE_LOCKED
    7, // SQLITE_NOMEM
    SQLITE_READONLY,
    SQLITE_IOERR,
    SQLITE_FULL,
    SQLITE_CANTOPEN,
    15, // SQLITE_PROTOCOL: the log could not be locked
];
/// Those of a disk that is full or failing, or cannot be written.
const SQLITE_OF_DISK: [i32; 4] = [SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN];
const SQLITE_BUSY: i32 = 5;
const SQLITE_READONLY: i32 = 8;
const SQLITE_IOERR: i32 = 10;
const SQLITE_FULL: i32 = 13;
const SQLITE_CANTOPEN: i32 = 14;

/// Returns what the operator can do.
fn sqlite_advice(code: i32) -> Option<&'static str> {
    match code {
        SQLITE_FULL => {
            Some("the disk of the database, usually that of the state directory, is full: free some space")
        }
        SQLITE_IOERR => Some("the disk of the database is failing: check the disk and the kernel log"),
        SQLITE_READONLY => Some(
            "the database is not writable: check its owner and mode, and whether its disk is mounted read-only",
        ),
        SQLITE_CANTOPEN => Some(
            "the files of the database cannot be opened: check that its directory exists and is writable",
        ),
        SQLITE_BUSY => Some("another process, such as a backup, holds the database"),
        _ => None,
    }
}

fn sqlite_code(error: &SqlxError) -> Option<i32> {
    primary_code(error.as_database_error()?)
}

/// Returns the primary code of SQLite.
fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    let error = error.try_downcast_ref::<SqliteError>()?;
    let code: i32 = error.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Returns whether a code of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>) concerns the state
/// of the server, not the statement.
fn is_temporary_state(code: &str) -> bool {
    /// Connection exceptions; insufficient resources, such as a full disk.
    const CLASSES: [&str; 2] = ["08", "53"];
    const CODES: [&str; 9] = [
        "25006", // read_only_sql_transaction: a standby
        "25P03", // idle_in_transaction_session_timeout
        "40001", // serialization_failure
        "40P01", // deadlock_detected
        "55P03", // lock_not_available: lock_timeout
        "57014", // query_canceled: statement_timeout
        "57P01", // admin_shutdown
        "57P02", // crash_shutdown
        "57P03", // cannot_connect_now: starting up
    ];
    code.get(..2).is_some_and(|class| CLASSES.contains(&class)) || CODES.contains(&code)
}

#[cfg(test)]
mod tests;
