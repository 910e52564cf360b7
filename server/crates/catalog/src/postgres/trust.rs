//! Whether the connection that writes can be trusted.
//!
//! After a failed transaction the server and the driver may disagree about the state of a connection. Such a connection is
//! closed, and another one opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::sqlx::Connection;
use sea_orm::sqlx::postgres::PgPoolOptions;

/// Whether the connection that writes is known to be outside of any transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    suspect: Arc<AtomicBool>,
}

impl Trust {
    /// Marks the connection as suspect after a transaction on it failed or was abandoned.
    pub(super) fn lose(&self) {
        self.suspect.store(true, Ordering::SeqCst);
    }

    /// Makes the pool close a suspect connection instead of returning it.
    pub(super) fn guard(&self, pool: PgPoolOptions) -> PgPoolOptions {
        let (used, new) = (self.clone(), self.clone());
        pool.before_acquire(move |connection, _| {
            let trusted = !connection.is_in_transaction() && !used.suspect.load(Ordering::SeqCst);
            Box::pin(async move { Ok(trusted) })
        })
        .after_connect(move |_, _| {
            new.suspect.store(false, Ordering::SeqCst);
            Box::pin(async { Ok(()) })
        })
    }
}
