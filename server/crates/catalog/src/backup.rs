//! Backup of a catalog in use.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::database::Database;
use crate::{Catalog, CatalogError};

impl Catalog {
    /// Writes a consistent copy of the catalog to a new file with mode 0600 and returns its size in bytes. The copy is durable
    /// when this returns; an error leaves no file behind. Reads and writes continue meanwhile.
    ///
    /// # Errors
    ///
    /// [`CatalogError::Create`] if the file exists or cannot be created; [`CatalogError::NoBackup`] if the database is not
    /// SQLite.
    pub async fn backup(&self, file: &Path) -> Result<u64, CatalogError> {
        let Database::Sqlite(database) = self.database() else { return Err(CatalogError::NoBackup) };
        let failed =
            |error: io::Error| CatalogError::Create { path: file.to_owned(), reason: error.to_string() };
        let name = file.to_str().ok_or_else(|| failed(io::Error::other("its name is not UTF-8")))?.to_owned();
        let copy = Unfinished::create(file).map_err(failed)?;
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [name.into()]);
        database.readers().execute_raw(statement).await?;
        copy.finish().map_err(failed)
    }
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
            // The caller gets the error that led here.
            let _ = fs::remove_file(path);
        }
    }
}
