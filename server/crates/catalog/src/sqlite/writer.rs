//! The connection for writing.
//!
//! SQLite ends a transaction by itself when its disk is full or fails. sqlx does not notice: it still counts the
//! connection as one transaction deep, and from then on sends SAVEPOINT for a begin and RELEASE for a commit. Such a
//! "commit" looks like a success and makes nothing durable. Therefore:
//!
//! * a connection on which anything failed is closed, and the next write opens another;
//! * a transaction begins with `BEGIN IMMEDIATE`, which SQLite refuses within another transaction;
//! * a commit counts once the connection is in no transaction any more.
//!
//! A sync that failed is not repeated either. A commit whose sync of the log failed is not visible to anybody, and the next
//! commit writes its own frames in the same place before it syncs them. A checkpoint whose sync failed is not counted, and the
//! next one copies the same pages again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::SqlitePool;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, SqlxSqliteConnector,
    TransactionOptions, TransactionTrait,
};

use super::connection_error;
use crate::CatalogError;
use crate::writer::{Command, Interrupted, Isolation, run_commands};

/// The connection for writing, one at a time.
#[derive(Debug)]
pub(super) struct WriterConnection {
    pool: SqlitePool,
    connection: DatabaseConnection,
    /// Whether the last transaction is not known to have ended successfully.
    suspect: AtomicBool,
}

impl WriterConnection {
    /// Wraps a pool of one connection.
    pub(super) fn new(pool: SqlitePool) -> Self {
        let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.clone());
        Self { pool, connection, suspect: AtomicBool::new(false) }
    }

    /// The connection for statements outside of transactions.
    #[cfg(test)]
    pub(super) fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// Runs all of the commands in one transaction. If this fails, none of them has an effect.
    pub(super) async fn run(&self, commands: &mut [Box<dyn Command>]) -> Result<(), CatalogError> {
        let mut outcome = self.attempt(commands, Isolation::None).await;
        if matches!(outcome, Err(Interrupted::ByCommand)) {
            outcome = self.attempt(commands, Isolation::Savepoints).await;
        }
        outcome.map_err(Interrupted::into_error)
    }

    async fn attempt(
        &self,
        commands: &mut [Box<dyn Command>],
        isolation: Isolation,
    ) -> Result<(), Interrupted> {
        self.replace_suspect().await?;
        // Until the transaction is known to have succeeded, even if this future is dropped.
        self.suspect.store(true, Ordering::SeqCst);
        let outcome = self.transact(commands, isolation).await;
        if outcome.is_ok() {
            self.suspect.store(false, Ordering::SeqCst);
        } else if let Err(error) = self.replace_suspect().await {
            // Immediately, because an open transaction would lock the database. The next write tries again.
            tracing::warn!(%error, "cannot close the connection to the catalog after a failed write");
        }
        outcome
    }

    async fn transact(
        &self,
        commands: &mut [Box<dyn Command>],
        isolation: Isolation,
    ) -> Result<(), Interrupted> {
        let transaction = self.begin().await?;
        // No other process writes, so the turn need not end early and no daemon has to be notified.
        run_commands(&transaction, commands, Duration::MAX, isolation).await?;
        transaction.commit().await?;
        Ok(self.check_idle().await?)
    }

    /// Begins a transaction. Takes the write lock at once: a transaction that starts by reading cannot wait for it later.
    pub(super) async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        self.connection
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            })
            .await
    }

    /// Fails if the connection is still within a transaction.
    async fn check_idle(&self) -> Result<(), CatalogError> {
        let connection = self.pool.acquire().await.map_err(connection_error)?;
        if connection.is_in_transaction() {
            let reason = "a transaction on the connection has not ended".to_owned();
            return Err(CatalogError::Unavailable { reason });
        }
        Ok(())
    }

    /// Closes the connection if its last transaction may not have ended, which rolls it back. The next use opens another.
    async fn replace_suspect(&self) -> Result<(), CatalogError> {
        if !self.suspect.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.pool.acquire().await.map_err(connection_error)?.close().await.map_err(connection_error)?;
        self.suspect.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Closes the connection for good.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}
