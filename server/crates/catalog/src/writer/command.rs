//! A write and its caller.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseTransaction, TransactionTrait};
use tokio::sync::oneshot;

use crate::{CatalogChange, CatalogError};

/// The outcome of a write.
pub(crate) struct Written<T> {
    /// The result for the caller.
    value: T,
    /// The changes to announce.
    changes: Vec<CatalogChange>,
}

impl<T> Written<T> {
    /// The outcome of a write that changes nothing that is kept in memory.
    pub(crate) fn quietly(value: T) -> Self {
        Self { value, changes: Vec::new() }
    }

    /// The outcome of a write that made these changes.
    pub(crate) fn with_changes(value: T, changes: Vec<CatalogChange>) -> Self {
        Self { value, changes }
    }
}

/// What becomes of a transaction when one of its commands fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// It is lost. Costs nothing where, as nearly always, none fails.
    None,
    /// Each command runs in a savepoint: one that fails is rolled back alone, and its caller gets the error.
    Savepoints,
}

/// Why a transaction is lost.
#[derive(Debug)]
pub(crate) enum Interrupted {
    /// A command without a savepoint failed, and it alone may be to blame. The commands are to run again, with savepoints.
    ByCommand,
    /// The database failed.
    Lost(CatalogError),
}

impl Interrupted {
    /// The error for the callers, where commands run in savepoints, which keep their errors to themselves.
    pub(crate) fn into_error(self) -> CatalogError {
        match self {
            Self::Lost(error) => error,
            Self::ByCommand => CatalogError::Unavailable { reason: "a write failed".to_owned() },
        }
    }
}

impl<E: Into<CatalogError>> From<E> for Interrupted {
    fn from(error: E) -> Self {
        Self::Lost(error.into())
    }
}

/// A unit of work together with the caller that waits for its result.
pub(crate) trait Command: Send {
    /// Does the work and returns the changes. `Err` means that the whole transaction is lost; the command can then run in another one.
    fn run<'t>(
        &'t mut self,
        transaction: &'t DatabaseTransaction,
        isolation: Isolation,
    ) -> BoxFuture<'t, Result<Vec<CatalogChange>, Interrupted>>;

    /// Sends the caller the result of the work if the transaction was committed, the error otherwise.
    fn finish(self: Box<Self>, committed: Result<(), CatalogError>);
}

/// The only kind of command.
pub(super) struct Submitted<I, T, F> {
    input: I,
    work: F,
    result: Option<Result<T, CatalogError>>,
    reply: oneshot::Sender<Result<T, CatalogError>>,
}

impl<I, T, F> Submitted<I, T, F> {
    pub(super) fn new(input: I, work: F, reply: oneshot::Sender<Result<T, CatalogError>>) -> Self {
        Self { input, work, result: None, reply }
    }
}

impl<I, T, F> Command for Submitted<I, T, F>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
    F: for<'t> Fn(&'t DatabaseTransaction, &'t I) -> BoxFuture<'t, Result<Written<T>, CatalogError>>
        + Send
        + 'static,
{
    fn run<'t>(
        &'t mut self,
        transaction: &'t DatabaseTransaction,
        isolation: Isolation,
    ) -> BoxFuture<'t, Result<Vec<CatalogChange>, Interrupted>> {
        Box::pin(async move {
            if isolation == Isolation::None {
                let written = (self.work)(transaction, &self.input).await.map_err(|error| match error {
                    error if error.is_temporary() => Interrupted::Lost(error),
                    _ => Interrupted::ByCommand,
                })?;
                self.result = Some(Ok(written.value));
                return Ok(written.changes);
            }
            let savepoint = transaction.begin().await?;
            let result = (self.work)(&savepoint, &self.input).await;
            let (result, changes) = match result {
                Ok(written) => {
                    savepoint.commit().await?;
                    (Ok(written.value), written.changes)
                }
                Err(error) => {
                    savepoint.rollback().await?;
                    (Err(error), Vec::new())
                }
            };
            self.result = Some(result);
            Ok(changes)
        })
    }

    fn finish(self: Box<Self>, committed: Result<(), CatalogError>) {
        let result = match committed {
            Ok(()) => self.result.unwrap_or(Err(CatalogError::Closed)),
            Err(error) => Err(error),
        };
        // The caller may have been dropped.
        let _ = self.reply.send(result);
    }
}

/// Runs commands in order until all are done or `turn` is over. Returns how many ran and their changes. An error means that the
/// transaction is lost.
pub(crate) async fn run_commands(
    transaction: &DatabaseTransaction,
    commands: &mut [Box<dyn Command>],
    turn: Duration,
    isolation: Isolation,
) -> Result<(usize, Vec<CatalogChange>), Interrupted> {
    let begin = Instant::now();
    let mut changes = Vec::new();
    for (number, command) in commands.iter_mut().enumerate() {
        if number > 0 && begin.elapsed() >= turn {
            return Ok((number, changes));
        }
        changes.append(&mut command.run(transaction, isolation).await?);
    }
    Ok((commands.len(), changes))
}
