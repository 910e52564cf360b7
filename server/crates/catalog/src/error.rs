//! What can go wrong in the catalog.

use std::path::PathBuf;

use sea_orm::DbErr;

use crate::CacheId;

/// Why the catalog could not do what it was asked. Messages name tables and files; none holds a secret, but they are for
/// logs and operators, not for clients.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database URL is for a kind of database that this program cannot use. The URL itself is left out, as it may
    /// hold a password.
    #[error("unsupported database `{scheme}`: expected sqlite:///path/to/file")]
    UnsupportedDatabase {
        /// What stands before the first colon of the URL.
        scheme: String,
    },
    /// The database URL names no usable file.
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
    /// The database exists but could not be opened.
    #[error("cannot open the database {}: {source}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the driver said.
        source: DbErr,
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
    /// The database refused a statement or lost its connection.
    #[error("database: {0}")]
    Database(#[from] DbErr),
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
