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

/// A unit of work together with the caller that waits for its result.
pub(crate) trait Command: Send {
    /// Does the work in a savepoint: if it fails, it alone is rolled back, and the caller gets the error. Returns the changes.
    /// `Err` means that the whole transaction is lost; the command can then run in another one.
    fn run<'t>(
        &'t mut self,
        transaction: &'t DatabaseTransaction,
    ) -> BoxFuture<'t, Result<Vec<CatalogChange>, CatalogError>>;

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
    ) -> BoxFuture<'t, Result<Vec<CatalogChange>, CatalogError>> {
        Box::pin(async move {
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
) -> Result<(usize, Vec<CatalogChange>), CatalogError> {
    let begin = Instant::now();
    let mut changes = Vec::new();
    for (number, command) in commands.iter_mut().enumerate() {
        if number > 0 && begin.elapsed() >= turn {
            return Ok((number, changes));
        }
        changes.append(&mut command.run(transaction).await?);
    }
    Ok((commands.len(), changes))
}
