//! The writer: the only place that changes the database.
//!
//! Callers submit commands over a bounded channel. The writer takes all waiting commands, up to a bound, runs them one after the
//! other in one transaction, and reports each result after the commit. So all of them share the cost of one durable commit.

mod command;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use sea_orm::DatabaseTransaction;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::CatalogError;
use crate::database::Database;
use command::Submitted;

pub(crate) use command::{Command, Written, run_commands};

/// The most commands that wait for the writer; further callers wait for room.
const QUEUE: usize = 1024;
/// The most commands in one transaction, which bounds how long the first waits for the last.
const GROUP: usize = 256;

/// Counters of the writer since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Writes that ran, including failed ones.
    pub commands: u64,
    /// Transactions that were committed. With concurrent callers this is less than `commands`.
    pub commits: u64,
}

#[derive(Debug, Default)]
struct Counters {
    commands: AtomicU64,
    commits: AtomicU64,
}

/// The outcome of one transaction.
pub(crate) struct Turn {
    /// How many commands, from the first on, ran. The others did not.
    pub(crate) commands: usize,
    /// Whether their changes are durable.
    pub(crate) outcome: Result<(), CatalogError>,
}

/// The handle of the writer. The task ends after this was dropped or closed and the commands submitted before have run.
#[derive(Debug)]
pub(crate) struct Writer {
    commands: mpsc::Sender<Box<dyn Command>>,
    closing: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
}

impl Writer {
    /// Starts the writer as a task of the current tokio runtime.
    pub(crate) fn start(database: Arc<Database>) -> Self {
        let (commands, queue) = mpsc::channel(QUEUE);
        let closing = Arc::new(Notify::new());
        let counters = Arc::new(Counters::default());
        let task = tokio::spawn(serve(database, queue, closing.clone(), counters.clone()));
        Self { commands, closing, task: Mutex::new(Some(task)), counters }
    }

    /// Runs `work` in its turn and returns its result once it is durable. Submitted work runs even if the caller is dropped.
    pub(crate) async fn run<I, T, F>(&self, input: I, work: F) -> Result<T, CatalogError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t DatabaseTransaction, &'t I) -> BoxFuture<'t, Result<Written<T>, CatalogError>>
            + Send
            + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let command = Box::new(Submitted::new(input, work, reply));
        self.commands.send(command).await.map_err(|_| CatalogError::Closed)?;
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
            tracing::error!(%error, "the writer of the catalog failed");
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

async fn serve(
    database: Arc<Database>,
    mut queue: mpsc::Receiver<Box<dyn Command>>,
    closing: Arc<Notify>,
    counters: Arc<Counters>,
) {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        tokio::select! {
            biased;
            () = closing.notified() => {
                // Commands already in the queue are still received.
                queue.close();
                continue;
            }
            received = queue.recv_many(&mut group, GROUP) => if received == 0 {
                break;
            },
        }
        while !group.is_empty() {
            if let Err(lost) = take_turn(&database, &mut group, &counters).await {
                // All callers have waited long enough: none of them waits for another attempt.
                group.drain(..).for_each(|command| command.finish(Err(lost.clone())));
                while let Ok(command) = queue.try_recv() {
                    command.finish(Err(lost.clone()));
                }
            }
        }
    }
}

/// Runs commands of the group in one transaction, reports their results and removes them from the group. Returns an error if the
/// database is unavailable.
async fn take_turn(
    database: &Database,
    group: &mut Vec<Box<dyn Command>>,
    counters: &Counters,
) -> Result<(), CatalogError> {
    let Turn { commands, outcome } = database.commit(group).await;
    counters.commands.fetch_add(commands as u64, Ordering::Relaxed);
    match &outcome {
        Ok(()) => {
            counters.commits.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => tracing::error!(%error, commands, "a write to the catalog failed"),
    }
    group.drain(..commands).for_each(|command| command.finish(outcome.clone()));
    match outcome {
        Err(CatalogError::Unavailable { reason } | CatalogError::Uncertain { reason }) => {
            // The others were not started, so nothing about them is uncertain.
            Err(CatalogError::Unavailable { reason })
        }
        _ => Ok(()),
    }
}
