//! The one place that writes.
//!
//! Callers submit commands over a bounded channel. The writer takes all that wait, up to a bound, runs them one after the
//! other in one transaction, and reports each result after the commit. So the price of making a commit durable is shared
//! by everyone who was waiting for it. Each command runs in a savepoint of its own: one that fails is undone alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseTransaction, TransactionOptions, TransactionTrait};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::CatalogError;

/// Commands that wait for the writer; further callers wait for room.
const QUEUE: usize = 1024;
/// Commands that share one transaction at most, which bounds how long the first of them waits for the last.
const GROUP: usize = 256;

/// What the writer has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Writes that were run, failed ones included.
    pub commands: u64,
    /// Transactions that were committed. With concurrent callers this is less than `commands`.
    pub commits: u64,
}

#[derive(Debug, Default)]
struct Counters {
    commands: AtomicU64,
    commits: AtomicU64,
}

/// The callers' end of the writer. The task ends when this is dropped or closed, after the commands submitted before.
#[derive(Debug)]
pub(crate) struct Writer {
    commands: mpsc::Sender<Box<dyn Command>>,
    closing: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
}

impl Writer {
    /// Starts the writer as a task of the current tokio runtime.
    pub(crate) fn start(connection: DatabaseConnection, transaction: TransactionOptions) -> Self {
        let (commands, queue) = mpsc::channel(QUEUE);
        let closing = Arc::new(Notify::new());
        let counters = Arc::new(Counters::default());
        let task =
            tokio::spawn(serve(connection, transaction, queue, Arc::clone(&closing), Arc::clone(&counters)));
        Self { commands, closing, task: Mutex::new(Some(task)), counters }
    }

    /// Runs `work` in its turn and returns its result once it is durable. Work that was submitted runs even if the caller
    /// goes away.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, CatalogError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, CatalogError>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Box::new(Submitted { work, reply })).await.map_err(|_| CatalogError::Closed)?;
        answer.await.map_err(|_| CatalogError::Closed)?
    }

    /// Refuses new work and waits for the work submitted.
    pub(crate) async fn close(&self) {
        self.closing.notify_one();
        // Held while waiting, so that every caller of `close` returns only when the writer has ended.
        let mut task = self.task.lock().await;
        if let Some(task) = task.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the catalog's writer failed");
        }
    }

    /// How many commands are in the queue.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.commands.max_capacity() - self.commands.capacity()
    }

    pub(crate) fn stats(&self) -> WriterStats {
        WriterStats {
            commands: self.counters.commands.load(Ordering::Relaxed),
            commits: self.counters.commits.load(Ordering::Relaxed),
        }
    }
}

/// A piece of work together with whoever waits for its result.
trait Command: Send {
    /// Does the work. The report is to be made once the fate of the transaction is known. `Err` means that the transaction
    /// can no longer be used, and the report is still owed.
    fn run<'t>(
        self: Box<Self>,
        transaction: &'t DatabaseTransaction,
    ) -> BoxFuture<'t, (Report, Result<(), CatalogError>)>;

    /// Tells the caller that the work was not done.
    fn refuse(self: Box<Self>, error: CatalogError);
}

/// Tells the caller of a command how it went: its own result if the transaction was committed, the error otherwise.
type Report = Box<dyn FnOnce(Result<(), CatalogError>) + Send>;

struct Submitted<F, T> {
    work: F,
    reply: oneshot::Sender<Result<T, CatalogError>>,
}

impl<F, T> Command for Submitted<F, T>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, CatalogError>> + Send + 'static,
{
    fn run<'t>(
        self: Box<Self>,
        transaction: &'t DatabaseTransaction,
    ) -> BoxFuture<'t, (Report, Result<(), CatalogError>)> {
        Box::pin(async move {
            let Self { work, reply } = *self;
            let (result, health) = match in_savepoint(transaction, work).await {
                Ok(result) => (result, Ok(())),
                Err(lost) => (Err(lost.clone()), Err(lost)),
            };
            let report: Report = Box::new(move |committed| {
                // A caller that went away does not want to know.
                let _ = reply.send(committed.and(result));
            });
            (report, health)
        })
    }

    fn refuse(self: Box<Self>, error: CatalogError) {
        let _ = self.reply.send(Err(error));
    }
}

/// Runs `work` so that its failure undoes it alone. The outer error means that the savepoint itself failed, which leaves the
/// transaction in an unknown state.
async fn in_savepoint<T, F>(
    transaction: &DatabaseTransaction,
    work: F,
) -> Result<Result<T, CatalogError>, CatalogError>
where
    F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, CatalogError>>,
{
    let savepoint = transaction.begin().await?;
    let result = work(&savepoint).await;
    match result {
        Ok(_) => savepoint.commit().await?,
        Err(_) => savepoint.rollback().await?,
    }
    Ok(result)
}

async fn serve(
    connection: DatabaseConnection,
    transaction: TransactionOptions,
    mut queue: mpsc::Receiver<Box<dyn Command>>,
    closing: Arc<Notify>,
    counters: Arc<Counters>,
) {
    let mut waiting = Vec::with_capacity(GROUP);
    loop {
        tokio::select! {
            biased;
            () = closing.notified() => {
                // Commands already in the queue are still received.
                queue.close();
                continue;
            }
            received = queue.recv_many(&mut waiting, GROUP) => if received == 0 {
                break;
            },
        }
        run_group(&connection, transaction, &mut waiting, &counters).await;
    }
}

/// Runs all of `group` in one transaction and reports. Leaves `group` empty.
async fn run_group(
    connection: &DatabaseConnection,
    options: TransactionOptions,
    group: &mut Vec<Box<dyn Command>>,
    counters: &Counters,
) {
    let transaction = match connection.begin_with_options(options).await {
        Ok(transaction) => transaction,
        Err(error) => {
            tracing::error!(%error, "the catalog cannot begin a transaction");
            for command in group.drain(..) {
                command.refuse(error.clone().into());
            }
            return;
        }
    };

    let mut reports = Vec::with_capacity(group.len());
    let mut outcome = Ok(());
    for command in group.drain(..) {
        if let Err(lost) = &outcome {
            command.refuse(CatalogError::clone(lost));
            continue;
        }
        let (report, health) = command.run(&transaction).await;
        counters.commands.fetch_add(1, Ordering::Relaxed);
        reports.push(report);
        outcome = health;
    }
    outcome = match outcome {
        Ok(()) => transaction.commit().await.map_err(CatalogError::from),
        Err(lost) => {
            if let Err(error) = transaction.rollback().await {
                tracing::error!(%error, "the catalog cannot roll back");
            }
            Err(lost)
        }
    };
    match &outcome {
        Ok(()) => {
            counters.commits.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => tracing::error!(%error, "the catalog cannot commit"),
    }
    for report in reports {
        report(outcome.clone());
    }
}
