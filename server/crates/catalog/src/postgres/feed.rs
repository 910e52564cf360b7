//! Announcing changes to the other daemons and receiving theirs.
//!
//! Notifications are part of the transaction: the server sends them when it commits, in the order of commits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use sea_orm::sqlx::Executor;
use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, SqlxError, Statement};
use tokio::time::{sleep, timeout};

use super::{Postgres, payload};
use crate::CatalogChange;

const CHANNEL: &str = "cache_server_changes";
/// How long the feed may be quiet before its connection is tested, since a connection can be lost without notice.
const QUIET: Duration = Duration::from_secs(3);
/// How long the test or an attempt to connect may take.
const ANSWER: Duration = Duration::from_millis(1500);
/// The pause before the next attempt to connect.
const PAUSE: Duration = Duration::from_millis(200);

/// Adds changes to the notifications of the transaction.
pub(super) async fn announce(
    transaction: &DatabaseTransaction,
    changes: &[CatalogChange],
) -> Result<(), DbErr> {
    if changes.is_empty() {
        return Ok(());
    }
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT pg_notify($1, payload) FROM unnest($2) AS payload",
        [CHANNEL.into(), payload::write(changes).into()],
    );
    transaction.execute_raw(statement).await?;
    Ok(())
}

impl Postgres {
    /// See [`crate::Catalog::changes`].
    pub(crate) fn changes(self: &Arc<Self>) -> impl Stream<Item = CatalogChange> + Send + use<> {
        let feed = Feed { server: self.clone(), listener: None, heard: VecDeque::new() };
        stream::unfold(feed, Feed::next)
    }
}

struct Feed {
    server: Arc<Postgres>,
    listener: Option<PgListener>,
    heard: VecDeque<CatalogChange>,
}

impl Feed {
    async fn next(mut self) -> Option<(CatalogChange, Self)> {
        let mut closed = self.server.monitor.close_event();
        let change = closed.do_until(self.hear()).await.ok()?;
        Some((change, self))
    }

    async fn hear(&mut self) -> CatalogChange {
        loop {
            if let Some(change) = self.heard.pop_front() {
                return change;
            }
            let Some(listener) = &mut self.listener else {
                self.listener = Some(self.listen().await);
                return CatalogChange::Resync;
            };
            match receive(listener).await {
                Ok(changes) => self.heard.extend(changes),
                Err(error) => {
                    tracing::warn!(%error, "the feed of changes was interrupted");
                    self.listener = None;
                }
            }
        }
    }

    async fn listen(&self) -> PgListener {
        loop {
            match timeout(ANSWER, self.try_listen()).await {
                Ok(Ok(listener)) => return listener,
                Ok(Err(error)) => tracing::debug!(%error, "cannot listen for changes yet"),
                Err(_) => {
                    tracing::debug!("cannot listen for changes yet: the database server does not respond")
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn try_listen(&self) -> Result<PgListener, SqlxError> {
        // A pool for each, because a lost listener can keep its connection for long.
        let mut listener = PgListener::connect_with(&self.server.single_connection()).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(listener)
    }
}

/// Returns the next changes, none if the feed is quiet.
async fn receive(listener: &mut PgListener) -> Result<Vec<CatalogChange>, SqlxError> {
    match timeout(QUIET, listener.try_recv()).await {
        Ok(Ok(Some(notification))) => Ok(payload::read(notification.payload())),
        Ok(Ok(None)) => Err(SqlxError::Io(std::io::ErrorKind::ConnectionAborted.into())),
        Ok(Err(error)) => Err(error),
        Err(_) => match timeout(ANSWER, listener.execute("SELECT 1")).await {
            Ok(answer) => answer.map(|_| Vec::new()),
            Err(_) => Err(SqlxError::PoolTimedOut),
        },
    }
}
