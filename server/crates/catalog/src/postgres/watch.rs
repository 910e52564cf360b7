//! Telling a server that is slow from one that is silent.
//!
//! A statement may take long: the server is busy, or another daemon writes. But when the server's machine froze or the
//! network lost it, no statement ever ends. So whoever waits asks on another connection, now and then, whether the server
//! is still there.

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

/// How long a statement may take before the server is asked whether it is there, and again after each answer.
const PATIENCE: Duration = Duration::from_millis(800);
/// How long the server may take to say so.
const ANSWER: Duration = Duration::from_secs(1);

impl Postgres {
    /// Waits for `work` as long as the server is there.
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

    /// Asks, after a while, whether the server is there.
    async fn ask_later(&self) -> Result<(), DbErr> {
        sleep(PATIENCE).await;
        let answer = async { self.monitor.acquire().await?.ping().await };
        let silent = match timeout(ANSWER, answer).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => Error::new(ErrorKind::TimedOut, "the database server does not answer").into(),
        };
        self.silence.noticed();
        Err(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(silent))))
    }
}

/// Whether the server was found silent. Then connections are in the middle of something, and returning one to its pool
/// would wait for its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence(Arc<AtomicBool>);

impl Silence {
    fn noticed(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a connection that is being returned can be used again; an error if it is to be closed without ceremony.
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
