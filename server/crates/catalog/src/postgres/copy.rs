//! Transactions that read or write the whole database, which takes longer than a daemon may usually take.

use sea_orm::{AccessMode, ConnectionTrait, DatabaseTransaction, DbErr, IsolationLevel, TransactionTrait};

use super::{Postgres, write};

/// Lifts the limits of one transaction.
const TAKE_YOUR_TIME: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
                              SET LOCAL idle_in_transaction_session_timeout = 0";

impl Postgres {
    /// Begins a transaction that sees the database as it is now, whatever is written meanwhile. It holds up nobody.
    pub(crate) async fn snapshot(&self) -> Result<DatabaseTransaction, DbErr> {
        let (isolation, access) = (IsolationLevel::RepeatableRead, AccessMode::ReadOnly);
        let transaction = self.readers.begin_with_config(Some(isolation), Some(access)).await?;
        transaction.execute_unprepared(TAKE_YOUR_TIME).await?;
        Ok(transaction)
    }

    /// Begins a writing transaction that no daemon writes beside.
    pub(crate) async fn begin_alone(&self) -> Result<DatabaseTransaction, DbErr> {
        let transaction = self.writer.begin().await?;
        transaction.execute_unprepared(TAKE_YOUR_TIME).await?;
        write::take_lock(&transaction).await?;
        Ok(transaction)
    }
}
