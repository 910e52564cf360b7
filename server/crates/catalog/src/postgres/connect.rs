//! Connections and their settings.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::{ConnectOptions, PgPool};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, SqlxError, SqlxPostgresConnector, Statement};

use super::Postgres;
use super::trust::Trust;
use super::watch::Silence;
use crate::{CatalogError, migration};

/// The number of concurrent queries.
const READERS: u32 = 8;
/// How long a call waits for a connection. Covers a server that is starting.
const ACQUIRE: Duration = Duration::from_millis(800);
/// How long closing waits for connections that are in use.
const CLOSE: Duration = Duration::from_secs(2);
/// PostgreSQL 13, the first version that reports the outcome of a transaction by its 64-bit id.
const OLDEST_VERSION: i32 = 130_000;

/// Settings of every session, unless the URL or `PGOPTIONS` sets them.
const SETTINGS: [(&str, &str); 8] = [
    // It determines what a statement sees after it waited for a lock.
    ("default_transaction_isolation", "read committed"),
    // A daemon that freezes within a transaction blocks all others for so long.
    ("idle_in_transaction_session_timeout", "2s"),
    ("lock_timeout", "5s"),
    ("statement_timeout", "30s"),
    // Makes the server notice a daemon whose machine disappeared.
    ("tcp_keepalives_idle", "5s"),
    ("tcp_keepalives_interval", "2s"),
    ("tcp_keepalives_count", "3"),
    // `CREATE TABLE IF NOT EXISTS` would log a notice at every start.
    ("client_min_messages", "warning"),
];

impl Postgres {
    /// Connects to the server and brings the schema up to date.
    pub(crate) async fn open(url: &str) -> Result<Self, CatalogError> {
        let options: PgConnectOptions =
            url.parse().map_err(|error: SqlxError| CatalogError::InvalidUrl { reason: error.to_string() })?;
        let server = Self::new(with_settings(options));
        server.check().await.map_err(|reason| CatalogError::Connect { server: server.name(), reason })?;
        server.migrate().await?;
        Ok(server)
    }

    fn new(options: PgConnectOptions) -> Self {
        let (silence, trust) = (Silence::default(), Trust::default());
        let pool = |connections| pool(connections, &silence);
        let connect = |pool: PgPoolOptions| pool.connect_lazy_with(options.clone());
        Self {
            writer: SqlxPostgresConnector::from_sqlx_postgres_pool(connect(trust.guard(pool(1)))),
            trust,
            readers: SqlxPostgresConnector::from_sqlx_postgres_pool(connect(pool(READERS))),
            // It is used rarely, so a connection that was lost long ago means nothing.
            monitor: connect(pool(1).test_before_acquire(true)),
            silence,
            options,
        }
    }

    /// Checks that the server can be reached and used.
    async fn check(&self) -> Result<(), String> {
        let question = "SELECT current_setting('server_version_num')::int, current_setting('fsync'), \
                        current_setting('synchronous_commit')";
        let answer = self
            .read(|readers| readers.query_one_raw(Statement::from_string(DbBackend::Postgres, question)))
            .await
            .map_err(|error| error.to_string())?
            .ok_or("it does not answer")?;
        let read = |error: DbErr| error.to_string();
        let version: i32 = answer.try_get_by_index(0).map_err(read)?;
        if version < OLDEST_VERSION {
            return Err(format!("PostgreSQL {} is too old: 13 or newer is needed", version / 10_000));
        }
        let settings: [String; 2] =
            [answer.try_get_by_index(1).map_err(read)?, answer.try_get_by_index(2).map_err(read)?];
        if settings.iter().any(|setting| setting == "off") {
            tracing::warn!(
                server = self.name(),
                fsync = settings[0],
                synchronous_commit = settings[1],
                "the database server does not wait for its disk: a power failure can lose acknowledged pushes"
            );
        }
        Ok(())
    }

    async fn migrate(&self) -> Result<(), CatalogError> {
        // Another daemon may be migrating a large table.
        let transaction = self.begin_alone().await?;
        let migrated = migration::migrate(&transaction).await?;
        transaction.commit().await?;
        migrated.log(&self.name());
        Ok(())
    }

    /// Returns the address and the database, without user and password.
    pub(super) fn name(&self) -> String {
        let host = match self.options.get_socket() {
            Some(directory) => directory.display().to_string(),
            None => self.options.get_host().to_owned(),
        };
        let database = self.options.get_database().unwrap_or_else(|| self.options.get_username());
        format!("{host}:{}/{database}", self.options.get_port())
    }

    pub(crate) async fn close(&self) {
        let writer = self.writer.get_postgres_connection_pool();
        let readers = self.readers.get_postgres_connection_pool();
        let closing = async { tokio::join!(writer.close(), readers.close(), self.monitor.close()) };
        if tokio::time::timeout(CLOSE, closing).await.is_err() {
            tracing::warn!("the database server did not close all connections in time");
        }
    }

    /// Returns a pool of one connection for a caller that keeps it.
    pub(super) fn single_connection(&self) -> PgPool {
        pool(1, &self.silence).connect_lazy_with(self.options.clone())
    }
}

fn with_settings(options: PgConnectOptions) -> PgConnectOptions {
    let given = options.get_options().unwrap_or_default().to_owned();
    let missing = SETTINGS.into_iter().filter(|(name, _)| !given.contains(name));
    let options = options.options(missing).disable_statement_logging();
    match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("cache-server"),
    }
}

fn pool(connections: u32, silence: &Silence) -> PgPoolOptions {
    let silence = silence.clone();
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        // The statement notices a lost connection and is then retried.
        .test_before_acquire(false)
        .after_release(move |connection, _| {
            let silence = silence.clone();
            Box::pin(async move { silence.check_released(connection).await })
        })
}

#[cfg(test)]
mod tests;
