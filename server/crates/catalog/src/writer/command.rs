//! A write and its caller, as the databases see them.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseTransaction, TransactionTrait};
use tokio::sync::oneshot;

use crate::{CatalogChange, CatalogError};

/// What a write did.
pub(crate) struct Written<T> {
    /// What the caller gets.
    value: T,
    /// What others are to be told.
    changes: Vec<CatalogChange>,
}

impl<T> Written<T> {
    /// A write that concerns nobody who keeps parts of the catalog in memory.
    pub(crate) fn quietly(value: T) -> Self {
        Self { value, changes: Vec::new() }
    }

    /// A write that made these changes.
    pub(crate) fn with_changes(value: T, changes: Vec<CatalogChange>) -> Self {
        Self { value, changes }
    }
}

/// A piece of work together with whoever waits for its result.
pub(crate) trait Command: Send {
    /// Does the work, in a savepoint: if it fails it is undone, alone, and the caller will get its error. Returns what
    /// changed. `Err` means that the transaction as a whole is lost; then the command can be run in another.
    fn run<'t>(
        &'t mut self,
        transaction: &'t DatabaseTransaction,
    ) -> BoxFuture<'t, Result<Vec<CatalogChange>, CatalogError>>;

    /// Gives the caller the result of the work if the transaction was committed, the error otherwise.
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
        // A caller that went away does not want to know.
        let _ = self.reply.send(result);
    }
}

/// Runs commands, from the first on, until all are done or `turn` is over. Returns how many it were and what they
/// changed. An error means that the transaction is lost.
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
