//! PostgreSQL: a server that several daemons share. Everything that holds for PostgreSQL only is here.
//!
//! | file | what |
//! |---|---|
//! | `connect.rs` | connections, what they ask of the server, and the check at the start |
//! | `read.rs` | queries, repeated where a connection was lost |
//! | `write.rs` | one writing transaction at a time, over all daemons; what became of one whose end was lost |
//! | `trust.rs` | which connection may write after a failure |
//! | `watch.rs` | telling a slow server from a silent one |
//! | `feed.rs`, `payload.rs` | telling the other daemons what changed, and hearing it from them |
//!
//! While the server is away a call waits for it a little, so that a restart is not noticed, and gives up within about two
//! seconds ([`crate::CatalogError::Unavailable`]). Nothing has to be restarted when the server is back.

mod connect;
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

/// How long a call whose connection was lost tries again.
const RETRY: Duration = Duration::from_secs(1);
/// The pause between two attempts that fail at once.
const PAUSE: Duration = Duration::from_millis(20);

/// The connections to a PostgreSQL server.
#[derive(Debug)]
pub(crate) struct Postgres {
    options: PgConnectOptions,
    /// One connection.
    writer: DatabaseConnection,
    trust: Trust,
    readers: DatabaseConnection,
    /// One connection for short questions about the state of the server.
    monitor: PgPool,
    silence: Silence,
}
