//! What can go wrong in the catalog.

use std::path::PathBuf;

use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlxError};

use crate::{CacheId, StorageId};

/// Why the catalog could not do what it was asked. Messages name tables and files; none holds a secret, but they are for
/// logs and operators, not for clients.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database URL is for a kind of database that this program cannot use. The URL itself is left out, as it may
    /// hold a password.
    #[error(
        "unsupported database `{scheme}`: expected sqlite:///path/to/file or postgres://user@host/database"
    )]
    UnsupportedDatabase {
        /// What stands before the first colon of the URL.
        scheme: String,
    },
    /// The database URL cannot be understood.
    #[error("invalid database URL: {reason}")]
    InvalidUrl {
        /// What the parser said.
        reason: String,
    },
    /// The database file, or the directory it belongs in, could not be made.
    #[error("cannot create {}: {reason}", path.display())]
    Create {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// A copy of a database server was asked for.
    #[error(
        "only a catalog in SQLite is copied by the daemon: use the tools of the database server, such as pg_dump"
    )]
    NoBackup,
    /// The database exists but could not be opened.
    #[error("cannot open the database {}: {source}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the driver said.
        source: DbErr,
    },
    /// The database server could not be reached, or refused the connection, when the catalog was opened.
    #[error("cannot use the database at {server}: {reason}")]
    Connect {
        /// Address and name of the database, without user and password.
        server: String,
        /// What the driver or the server said.
        reason: String,
    },
    /// The database was changed by a newer version of this program. Going back to an older one could lose what the newer
    /// one has recorded.
    #[error(
        "the database was made by a newer version of cache-server (it has the migration `{migration}`): \
         start that version, or restore a backup made before the upgrade"
    )]
    NewerDatabase {
        /// The first applied migration that this version does not know.
        migration: String,
    },
    /// The database server is away, or too busy to answer in time. Nothing was done; the same call can succeed later.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// What the driver or the server said.
        reason: String,
    },
    /// The database server went away while it committed, and did not come back in time to say whether it had done so. The
    /// write happened wholly or not at all: whoever undoes what it recorded must look first, once the database is back.
    #[error("the database went away during a commit that may have happened: {reason}")]
    Uncertain {
        /// What the driver or the server said.
        reason: String,
    },
    /// The database refused a statement.
    #[error("database: {0}")]
    Database(DbErr),
    /// A row holds a value that this program never writes.
    #[error("the catalog is damaged: column {column} of {table} holds {found}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
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
    /// One file hash was committed with two different contents. Whoever verified one of them is wrong.
    #[error("the file {file_hash} is already recorded with another NAR hash, size or compression")]
    ContradictingNar {
        /// SHA-256 of the compressed file, in nix32.
        file_hash: String,
    },
    /// A file is said to lie on a storage that the cache does not have, or that is not enabled. The configuration changed
    /// since the storage was chosen: choose again.
    #[error("storage {} is not in use by the cache", storage.0)]
    StorageNotInUse {
        /// The storage.
        storage: StorageId,
    },
    /// A signing key of this name was published with another public key. Nix keeps one key per name, so the name cannot
    /// be used again.
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

impl CatalogError {
    /// Whether the database was the reason, not the call: the same call can succeed once the database is back.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Uncertain { .. })
    }
}

impl From<DbErr> for CatalogError {
    fn from(error: DbErr) -> Self {
        if matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)) {
            Self::Closed
        } else if is_unavailable(&error) {
            Self::Unavailable { reason: error.to_string() }
        } else {
            Self::Database(error)
        }
    }
}

/// Whether the error says that the database could not be asked, rather than what it answered.
pub(crate) fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match error
            .as_ref()
        {
            SqlxError::Io(_) | SqlxError::Tls(_) | SqlxError::Protocol(_) | SqlxError::PoolTimedOut => true,
            SqlxError::Database(error) => error
                .try_downcast_ref::<PgDatabaseError>()
                .is_some_and(|error| is_temporary_state(error.code())),
            _ => false,
        },
        _ => false,
    }
}

/// Whether a code of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>) is about the state that
/// the server is in, not about the statement.
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
