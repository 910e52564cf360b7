//! The one place that writes.
//!
//! Callers submit commands over a bounded channel. The writer takes all that wait, up to a bound, has them run one after the
//! other in one transaction, and reports each result after the commit. So the price of making a commit durable is shared
//! by everyone who was waiting for it.

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

/// How one transaction went.
pub(crate) struct Turn {
    /// How many commands, from the first on, this is about. The others were not run.
    pub(crate) commands: usize,
    /// Whether what they did is durable.
    pub(crate) outcome: Result<(), CatalogError>,
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
    pub(crate) fn start(database: Arc<Database>) -> Self {
        let (commands, queue) = mpsc::channel(QUEUE);
        let closing = Arc::new(Notify::new());
        let counters = Arc::new(Counters::default());
        let task = tokio::spawn(serve(database, queue, Arc::clone(&closing), Arc::clone(&counters)));
        Self { commands, closing, task: Mutex::new(Some(task)), counters }
    }

    /// Runs `work` in its turn and returns its result once it is durable. Work that was submitted runs even if the caller
    /// goes away.
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
                // Whoever waited for this attempt has waited long enough: none of them waits for another one.
                group.drain(..).for_each(|command| command.finish(Err(lost.clone())));
                while let Ok(command) = queue.try_recv() {
                    command.finish(Err(lost.clone()));
                }
            }
        }
    }
}

/// Runs commands of the group in one transaction, reports on them and takes them out of the group. Returns an error if
/// the database is away.
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
        Err(error) => tracing::error!(%error, commands, "the catalog cannot write"),
    }
    group.drain(..commands).for_each(|command| command.finish(outcome.clone()));
    match outcome {
        Err(CatalogError::Unavailable { reason } | CatalogError::Uncertain { reason }) => {
            // The others were not begun, so there is nothing uncertain about them.
            Err(CatalogError::Unavailable { reason })
        }
        _ => Ok(()),
    }
}
