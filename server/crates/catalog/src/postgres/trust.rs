//! Which connection may write.
//!
//! A connection on which a transaction failed may be in the middle of something: its server says one thing and the
//! driver's count of open transactions another. Such a connection is closed, and another one opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::sqlx::Connection;
use sea_orm::sqlx::postgres::PgPoolOptions;

/// Whether the connection that writes is known to be in no transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    suspect: Arc<AtomicBool>,
}

impl Trust {
    /// A transaction on the connection failed, or was left half-way.
    pub(super) fn lose(&self) {
        self.suspect.store(true, Ordering::SeqCst);
    }

    /// Has the pool close a connection that is not trusted when it is asked for one.
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
