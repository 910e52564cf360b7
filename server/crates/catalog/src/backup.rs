//! Backup of a catalog in use, and its way back.
//!
//! A backup is a SQLite file, whichever database the catalog is in, and can be restored to either of them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, Statement};

use crate::database::{Database, Pace};
use crate::error::is_disk_full;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::transfer::{copy_all, is_empty};
use crate::{Catalog, CatalogError};

impl Catalog {
    /// Writes a consistent copy of the catalog to a new SQLite file with mode 0600 and returns its size in bytes. The copy is
    /// durable when this returns; an error leaves no file behind. Reads and writes continue meanwhile.
    ///
    /// # Errors
    ///
    /// [`CatalogError::Create`] if the file exists or cannot be written.
    pub async fn backup(&self, file: &Path) -> Result<u64, CatalogError> {
        let failed =
            |error: io::Error| CatalogError::Create { path: file.to_owned(), reason: error.to_string() };
        let name = file.to_str().ok_or_else(|| failed(io::Error::other("its name is not UTF-8")))?;
        let copy = Unfinished::create(file).map_err(failed)?;
        let copied = match self.database() {
            Database::Sqlite(database) => {
                let statement =
                    Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [name.into()]);
                database.readers(Pace::Unhurried).await.execute_raw(statement).await.map(|_| ())
            }
            Database::Postgres(server) => {
                let target = Sqlite::open(&url_of(file)).await?;
                let copied = dump(server, &target).await;
                target.close().await;
                copied
            }
        };
        copied.map_err(|error| match is_disk_full(&error) {
            true => failed(io::ErrorKind::StorageFull.into()),
            false => error.into(),
        })?;
        copy.finish().map_err(failed)
    }

    /// Fills the database at `url` with the catalog in a SQLite file that [`Catalog::backup`] wrote: all of it or nothing. The
    /// file is brought to the current schema.
    ///
    /// # Errors
    ///
    /// [`CatalogError::NotEmpty`] if the database already holds a catalog; [`CatalogError::NewerDatabase`] if a newer version
    /// of this program made the backup.
    pub async fn load_backup(url: &str, file: &Path) -> Result<(), CatalogError> {
        let source = Sqlite::open(&url_of(file)).await?;
        let target = Database::open(url).await?;
        let readers = source.readers(Pace::Usual).await;
        let filled = match &target {
            Database::Sqlite(target) => fill(target.begin().await?, &readers).await,
            Database::Postgres(target) => fill(target.begin_alone().await?, &readers).await,
        };
        drop(readers);
        target.close().await;
        source.close().await;
        filled
    }

    /// Returns whether the catalog holds nothing, as one that no daemon has used.
    pub async fn is_empty(&self) -> Result<bool, CatalogError> {
        Ok(is_empty(self.readers()).await?)
    }

    /// Opens the catalog in a SQLite file that [`Catalog::backup`] wrote, and brings it to the current schema.
    pub async fn open_file(file: &Path) -> Result<Self, CatalogError> {
        Self::open(&url_of(file)).await
    }
}

/// Returns the file of a database at `url`, `None` unless it is SQLite.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    if !url.starts_with("sqlite:") {
        return None;
    }
    let options: SqliteConnectOptions = url.parse().ok()?;
    Some(options.get_filename().to_owned())
}

/// The URL of a SQLite file.
fn url_of(file: &Path) -> String {
    format!("sqlite://{}", file.to_string_lossy().replace('%', "%25").replace('?', "%3F"))
}

/// A file that is removed when it is dropped unfinished.
struct Unfinished(Option<PathBuf>);

impl Unfinished {
    fn create(path: &Path) -> io::Result<Self> {
        // SQLite accepts an empty file, and would create one with the default mode.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self(Some(path.to_owned())))
    }

    fn finish(mut self) -> io::Result<u64> {
        let Some(path) = &self.0 else { return Ok(0) };
        let file = File::open(path)?;
        file.sync_all()?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        let size = file.metadata()?.len();
        self.0 = None;
        Ok(size)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            for end in ["", "-wal", "-shm", "-journal"] {
                // The caller gets the error that led here.
                let _ = fs::remove_file(format!("{}{end}", path.display()));
            }
        }
    }
}

/// Copies everything from a database server into a new file.
async fn dump(server: &Postgres, target: &Sqlite) -> Result<(), DbErr> {
    let source = server.snapshot().await?;
    let transaction = target.begin().await?;
    copy_all(&source, &transaction).await?;
    transaction.commit().await?;
    source.rollback().await
}

/// Copies everything from a file into an empty database.
async fn fill(target: DatabaseTransaction, source: &DatabaseConnection) -> Result<(), CatalogError> {
    if !is_empty(&target).await? {
        return Err(CatalogError::NotEmpty);
    }
    copy_all(source, &target).await?;
    Ok(target.commit().await?)
}
