//! What a commit meets, found by one query.

use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement, TryGetable};

use super::PathCommit;
use crate::CatalogError;
use crate::database::positional;

/// Takes the cache, the path and the file as often as they are named here.
const LOOK: &str = "SELECT \
    EXISTS (SELECT 1 FROM store_path WHERE cache = ? AND hash = ?), \
    EXISTS (SELECT 1 FROM nar WHERE cache = ? AND file_hash = ?), \
    EXISTS (SELECT 1 FROM storage WHERE id = ? AND enabled), \
    EXISTS (SELECT 1 FROM trashed_path WHERE cache = ? AND hash = ?), \
    EXISTS (SELECT 1 FROM store_path WHERE cache = ? AND missing_reference = ?)";

/// What the cache has that concerns a commit. Nearly always nothing: then the rows are inserted without a further question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    /// The path, visible or hidden.
    pub(super) has_path: bool,
    /// The same file, usable or not.
    pub(super) has_file: bool,
    /// The storage of the committed file is enabled.
    pub(super) is_enabled: bool,
    /// The path is in the trash.
    pub(super) is_trashed: bool,
    /// Other paths lack this one.
    pub(super) is_awaited: bool,
}

impl Setting {
    pub(super) async fn of(
        transaction: &DatabaseTransaction,
        commit: &PathCommit,
    ) -> Result<Self, CatalogError> {
        let backend = transaction.get_database_backend();
        let cache = || commit.cache.0.into();
        let hash = || commit.path.hash().as_bytes().to_vec().into();
        let values = [
            cache(),
            hash(),
            cache(),
            commit.nar.file_hash.as_bytes().to_vec().into(),
            commit.nar.storage.0.into(),
            cache(),
            hash(),
            cache(),
            hash(),
        ];
        let statement = Statement::from_sql_and_values(backend, positional(backend, LOOK), values);
        let row = transaction.query_one_raw(statement).await?.ok_or_else(|| CatalogError::Corrupt {
            table: "store_path",
            column: "hash".to_owned(),
            found: "no answer to whether it is there".to_owned(),
        })?;
        let has = |column| bool::try_get_by_index(&row, column).map_err(sea_orm::DbErr::from);
        Ok(Self {
            has_path: has(0)?,
            has_file: has(1)?,
            is_enabled: has(2)?,
            is_trashed: has(3)?,
            is_awaited: has(4)?,
        })
    }

    /// Whether there is nothing that the commit could use, replace or contradict.
    pub(super) fn is_untouched(&self) -> bool {
        !self.has_path && !self.has_file && self.is_enabled
    }
}
