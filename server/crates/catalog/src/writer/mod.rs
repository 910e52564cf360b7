//! The writer: the only place that changes the database.
//!
//! Callers submit commands over a bounded channel. The writer takes all waiting commands, up to a bound, runs them one after the
//! other in one transaction, and reports each result after the commit. So all of them share the cost of one durable commit.

mod command;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use meters::{Counter, Histogram};
use sea_orm::DatabaseTransaction;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock;
use crate::database::Database;
use crate::{CatalogError, UnixTime};
use command::Submitted;

pub(crate) use command::{Command, Interrupted, Isolation, Written, run_commands};

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

/// What is measured of the writer.
#[derive(Debug)]
pub struct WriterMeters {
    /// Transactions that failed.
    pub failures: Counter,
    /// How long transactions took, including those that failed.
    pub durations: Histogram,
    /// How many writes shared a transaction.
    pub groups: Histogram,
}

impl Default for WriterMeters {
    fn default() -> Self {
        let groups = Histogram::new(&[1, 2, 4, 8, 16, 32, 64, 128, GROUP as u64]);
        Self { failures: Counter::new(), durations: Histogram::of_durations(), groups }
    }
}

/// Since when the database cannot be written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteFailure {
    /// When the first write failed.
    pub since: UnixTime,
    /// Why the last write failed, and what to do about it.
    pub reason: String,
}

#[derive(Debug, Default)]
struct State {
    commands: AtomicU64,
    commits: AtomicU64,
    meters: WriterMeters,
    /// Set from a write that failed because of the database until it is proved that it can be written.
    failure: parking_lot::Mutex<Option<WriteFailure>>,
}

impl State {
    fn is_failing(&self) -> bool {
        self.failure.lock().is_some()
    }

    /// Notes that the database could not be written. Only the first failure in a row is worth more than a debug line. A success
    /// proves nothing: a transaction that changes nothing writes nothing.
    fn note(&self, outcome: &Result<(), CatalogError>) {
        let mut failure = self.failure.lock();
        match outcome {
            Ok(()) => {}
            Err(error @ (CatalogError::Unavailable { reason } | CatalogError::Uncertain { reason })) => {
                let since = match &*failure {
                    Some(failure) => {
                        tracing::debug!(%error, "the catalog still cannot be written");
                        failure.since
                    }
                    None => {
                        tracing::error!(%error, "the catalog cannot be written");
                        UnixTime::now()
                    }
                };
                *failure = Some(WriteFailure { since, reason: reason.clone() });
            }
            Err(error) => tracing::error!(%error, "a write to the catalog failed"),
        }
    }
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
    state: Arc<State>,
}

impl Writer {
    /// Starts the writer as a task of the current tokio runtime.
    pub(crate) fn start(database: Arc<Database>) -> Self {
        let (commands, queue) = mpsc::channel(QUEUE);
        let closing = Arc::new(Notify::new());
        let state = Arc::new(State::default());
        let task = tokio::spawn(serve(database, queue, closing.clone(), state.clone()));
        Self { commands, closing, task: Mutex::new(Some(task)), state }
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
    pub(crate) fn waiting(&self) -> usize {
        self.commands.max_capacity() - self.commands.capacity()
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.state.is_failing()
    }

    pub(crate) fn failure(&self) -> Option<WriteFailure> {
        self.state.failure.lock().clone()
    }

    pub(crate) fn meters(&self) -> &WriterMeters {
        &self.state.meters
    }

    pub(crate) fn stats(&self) -> WriterStats {
        WriterStats {
            commands: self.state.commands.load(Ordering::Relaxed),
            commits: self.state.commits.load(Ordering::Relaxed),
        }
    }
}

async fn serve(
    database: Arc<Database>,
    mut queue: mpsc::Receiver<Box<dyn Command>>,
    closing: Arc<Notify>,
    state: Arc<State>,
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
            let turn = AssertUnwindSafe(take_turn(&database, &mut group, &state)).catch_unwind();
            if let Err(lost) = turn.await.unwrap_or_else(|_| Err(panicked())) {
                // All callers have waited long enough: none of them waits for another attempt.
                group.drain(..).for_each(|command| command.finish(Err(lost.clone())));
                while let Ok(command) = queue.try_recv() {
                    command.finish(Err(lost.clone()));
                }
            }
        }
    }
}

/// Finds out whether the database can be written again, after a transaction that may have had nothing to write.
async fn prove(database: &Database, state: &State) {
    let (reply, _) = oneshot::channel();
    let mut probe: Vec<Box<dyn Command>> = vec![Box::new(Submitted::new((), clock::probe, reply))];
    let Turn { outcome, .. } = database.commit(&mut probe).await;
    state.note(&outcome);
    if outcome.is_ok()
        && let Some(failure) = state.failure.lock().take()
    {
        tracing::info!(since = failure.since.0, "the catalog can be written again");
    }
}

/// What callers get whose turn panicked: nothing was committed. The panic hook has logged the message.
fn panicked() -> CatalogError {
    CatalogError::Unavailable { reason: "a write panicked, which is a fault of cache-server".to_owned() }
}

/// Runs commands of the group in one transaction, reports their results and removes them from the group. Returns an error if the
/// database is unavailable.
async fn take_turn(
    database: &Database,
    group: &mut Vec<Box<dyn Command>>,
    state: &State,
) -> Result<(), CatalogError> {
    let begun = Instant::now();
    let Turn { commands, outcome } = database.commit(group).await;
    state.meters.durations.note_duration(begun.elapsed());
    state.meters.groups.note(commands as u64);
    if outcome.is_err() {
        state.meters.failures.increment();
    }
    state.commands.fetch_add(commands as u64, Ordering::Relaxed);
    state.commits.fetch_add(u64::from(outcome.is_ok()), Ordering::Relaxed);
    state.note(&outcome);
    if outcome.is_ok() && state.is_failing() {
        prove(database, state).await;
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
