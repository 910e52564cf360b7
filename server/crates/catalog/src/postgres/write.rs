//! Writing: one transaction at a time over all daemons.
//!
//! Every writing transaction first takes the same advisory lock. So what it reads stays true until it commits, and no command has
//! to consider others, as on SQLite. Row locks would allow concurrent transactions, but each does the work of many callers in
//! the order of their calls: two daemons that receive the same closure would deadlock repeatedly, and the server needs a
//! second to detect each deadlock. A transaction is short and ends early if other daemons may be waiting.

use std::time::{Duration, Instant};

use sea_orm::sqlx::query_scalar;
use sea_orm::{DatabaseTransaction, DbBackend, DbErr, FromQueryResult, Statement, TransactionTrait};
use tokio::time::{sleep, timeout_at};

use super::{PAUSE, Postgres, RETRY};
use crate::CatalogError;
use crate::writer::{Command, Interrupted, Isolation, Turn, run_commands};

/// Identifies the lock among the advisory locks of the database: `cachesrv` in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"cachesrv");
/// How long one transaction accepts commands while other daemons may wait.
const TURN: Duration = Duration::from_millis(250);
/// How long after its start the outcome of a transaction may be queried.
const DEADLINE: Duration = Duration::from_millis(1900);

/// The id of a transaction on the server.
pub(super) struct TransactionId(String);

/// The outcome of a transaction.
enum Fate {
    Committed,
    Aborted,
}

impl Postgres {
    /// Runs as many of the commands as fit into one turn, in one transaction.
    pub(crate) async fn commit(&self, commands: &mut [Box<dyn Command>]) -> Turn {
        let begin = Instant::now();
        loop {
            match self.try_commit(commands, begin).await {
                Turn { outcome: Err(CatalogError::Unavailable { reason }), .. }
                    if begin.elapsed() < RETRY =>
                {
                    tracing::debug!(reason, "retrying a transaction");
                    sleep(PAUSE).await;
                }
                turn => return turn,
            }
        }
    }

    async fn try_commit(&self, commands: &mut [Box<dyn Command>], begin: Instant) -> Turn {
        let all = commands.len();
        let (transaction, id, done) = match self.run(commands).await {
            Ok(run) => run,
            Err(error) => {
                self.trust.lose();
                return Turn { commands: all, outcome: Err(error) };
            }
        };
        let committed = self.watched(transaction.commit()).await.map_err(CatalogError::from);
        if committed.is_err() {
            // Whatever the outcome of the transaction.
            self.trust.lose();
        }
        let outcome = match committed {
            Err(CatalogError::Unavailable { reason }) => match self.find_fate(&id, begin + DEADLINE).await {
                Some(Fate::Committed) => Ok(()),
                Some(Fate::Aborted) => Err(CatalogError::Unavailable { reason }),
                None => Err(CatalogError::Uncertain { reason }),
            },
            outcome => outcome,
        };
        Turn { commands: done, outcome }
    }

    /// Does everything but the commit. Returns how many commands ran.
    async fn run(
        &self,
        commands: &mut [Box<dyn Command>],
    ) -> Result<(DatabaseTransaction, TransactionId, usize), CatalogError> {
        self.watched(async {
            let transaction = self.writer.begin().await?;
            let id = take_lock(&transaction).await?;
            let (done, changes) = run_commands(&transaction, commands, TURN, Isolation::Savepoints)
                .await
                .map_err(Interrupted::into_error)?;
            super::feed::announce(&transaction, &changes).await?;
            Ok((transaction, id, done))
        })
        .await
    }

    /// Queries the outcome of a transaction whose commit got no reply until there is an answer. The server knows it even after a
    /// crash.
    async fn find_fate(&self, id: &TransactionId, deadline: Instant) -> Option<Fate> {
        let asking = async {
            loop {
                let question = query_scalar("SELECT pg_xact_status($1::xid8)").bind(&id.0);
                let answer: Result<Option<String>, _> = question.fetch_one(&self.monitor).await;
                match answer.ok().flatten().as_deref() {
                    Some("committed") => return Fate::Committed,
                    Some("aborted") => return Fate::Aborted,
                    // The commit is still running, or the server is not back yet.
                    _ => sleep(PAUSE).await,
                }
            }
        };
        timeout_at(deadline.into(), asking).await.ok()
    }
}

/// Waits until no other daemon writes. The end of the transaction releases the lock.
pub(super) async fn take_lock(transaction: &DatabaseTransaction) -> Result<TransactionId, DbErr> {
    #[derive(FromQueryResult)]
    struct Row {
        id: String,
    }
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT pg_current_xact_id()::text AS id, pg_advisory_xact_lock($1)",
        [LOCK.into()],
    );
    let row = Row::find_by_statement(statement).one(transaction).await?;
    row.map(|row| TransactionId(row.id)).ok_or_else(|| DbErr::RecordNotFound("no transaction id".to_owned()))
}
