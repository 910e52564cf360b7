//! Telling a slow server from an unresponsive one.
//!
//! A statement may take long because the server is busy or another daemon writes. But if the machine of the server froze or is
//! unreachable, no statement ever ends. So each waiting call now and then pings the server on another connection.

use std::future::Future;
use std::io::{Error, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::{Connection, PgConnection};
use sea_orm::{DbErr, RuntimeErr, SqlxError};
use tokio::time::{sleep, timeout};

use super::Postgres;

/// How long a statement may take before the server is pinged, and again after each reply.
const PATIENCE: Duration = Duration::from_millis(800);
/// How long the server may take to reply.
const ANSWER: Duration = Duration::from_secs(1);

impl Postgres {
    /// Waits for `work` as long as the server responds.
    pub(super) async fn watched<T, E: From<DbErr>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return result,
                silent = self.ask_later() => silent?,
            }
        }
    }

    /// Pings the server after a while.
    async fn ask_later(&self) -> Result<(), DbErr> {
        sleep(PATIENCE).await;
        let answer = async { self.monitor.acquire().await?.ping().await };
        let silent = match timeout(ANSWER, answer).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => Error::new(ErrorKind::TimedOut, "the database server does not respond").into(),
        };
        self.silence.noticed();
        Err(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(silent))))
    }
}

/// Whether the server was found unresponsive. Then connections are busy, and returning one to its pool would wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence(Arc<AtomicBool>);

impl Silence {
    fn noticed(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether a connection that is being returned can be reused; an error closes it at once.
    pub(super) async fn check_released(&self, connection: &mut PgConnection) -> Result<bool, SqlxError> {
        if self.0.load(Ordering::Relaxed) {
            match timeout(ANSWER, connection.ping()).await {
                Ok(alive) => alive?,
                Err(_) => return Err(SqlxError::PoolTimedOut),
            }
            self.0.store(false, Ordering::Relaxed);
        }
        Ok(true)
    }
}
