//! PostgreSQL: a server that several daemons share. Everything specific to PostgreSQL is here.
//!
//! | file | what |
//! |---|---|
//! | `connect.rs` | connections, their settings, and the check at the start |
//! | `read.rs` | queries, retried after a lost connection |
//! | `write.rs` | one writing transaction at a time over all daemons, and the outcome of one whose commit got no reply |
//! | `trust.rs` | which connection may write after a failure |
//! | `watch.rs` | telling a slow server from an unresponsive one |
//! | `copy.rs` | transactions that read or write everything at once |
//! | `feed.rs`, `payload.rs` | announcing changes to the other daemons and receiving theirs |
//!
//! While the server is down, a call waits briefly, so that a restart goes unnoticed, and fails within about two seconds
//! ([`crate::CatalogError::Unavailable`]). Nothing has to be restarted when the server is back.

mod connect;
mod copy;
mod feed;
mod payload;
mod read;
mod trust;
mod watch;
mod write;

use std::time::Duration;

use sea_orm::DatabaseConnection;
use sea_orm::sqlx::PgPool;
use sea_orm::sqlx::postgres::PgConnectOptions;

use trust::Trust;
use watch::Silence;

/// How long a call is retried after its connection was lost.
const RETRY: Duration = Duration::from_secs(1);
/// The pause between two attempts that fail immediately.
const PAUSE: Duration = Duration::from_millis(20);

/// The connections to a PostgreSQL server.
#[derive(Debug)]
pub(crate) struct Postgres {
    options: PgConnectOptions,
    /// One connection.
    writer: DatabaseConnection,
    trust: Trust,
    readers: DatabaseConnection,
    /// One connection for short queries about the state of the server.
    monitor: PgPool,
    silence: Silence,
}
