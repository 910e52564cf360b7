//! What deployments print. Lines go to the catalog first, and from there to whoever follows, so that nobody sees what a
//! crash would take back, and a slow reader holds nobody up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, CatalogError, DeploymentId, LogAppend, LogLine, NumberedLine, UnixTime};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Deploy, RETRY, time};

use crate::chain::chain;

/// Most bytes of one log.
const LIMIT: u64 = 8 << 20;
/// Most bytes of one line; longer ones are cut.
const LINE_LIMIT: usize = 16 << 10;
/// Most lines that are handed over at a time.
const PAGE: u64 = 500;
/// How the last line begins (protocol reference 7.8). Clients stop reading there.
const LAST_LINES: [&str; 2] = ["Successfully activated the deployment", "Failed to activate the deployment"];
/// How long a log stays open after the end of its deployment while the agent is connected to it: the last line travels on
/// another socket than the news of the end.
const GRACE_CONNECTED: Duration = Duration::from_secs(10);
/// The same when the agent is gone from it.
const GRACE_GONE: Duration = Duration::from_secs(2);
/// How often to look for lines that another daemon takes.
const LOOK_SHARED: Duration = Duration::from_secs(1);

/// Whether a line tells how a deployment went.
pub fn is_last_line(line: &str) -> bool {
    LAST_LINES.iter().any(|last| line.starts_with(last))
}

/// Who writes and who follows which log at the moment.
#[derive(Default)]
pub(super) struct Logs {
    open: Mutex<HashMap<DeploymentId, Open>>,
}

#[derive(Default)]
struct Open {
    /// Told whenever the log or the deployment may have changed.
    changed: watch::Sender<()>,
    users: usize,
    producers: usize,
}

impl Logs {
    /// Has those who follow look again.
    pub(super) fn changed(&self, id: DeploymentId) {
        if let Some(open) = self.lock().get(&id) {
            open.changed.send_replace(());
        }
    }

    fn open(self: &Arc<Self>, id: DeploymentId, produces: bool) -> (User, watch::Receiver<()>) {
        let mut logs = self.lock();
        let open = logs.entry(id).or_default();
        open.users += 1;
        open.producers += usize::from(produces);
        (User { logs: self.clone(), id, produces }, open.changed.subscribe())
    }

    fn has_producer(&self, id: DeploymentId) -> bool {
        self.lock().get(&id).is_some_and(|open| open.producers > 0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeploymentId, Open>> {
        self.open.lock()
    }
}

/// Someone who writes or follows a log.
struct User {
    logs: Arc<Logs>,
    id: DeploymentId,
    produces: bool,
}

impl Drop for User {
    fn drop(&mut self) {
        let mut logs = self.logs.lock();
        if let Some(open) = logs.get_mut(&self.id) {
            open.users -= 1;
            open.producers -= usize::from(self.produces);
            open.changed.send_replace(());
            if open.users == 0 {
                logs.remove(&self.id);
            }
        }
    }
}

/// The agent's end of a log.
pub struct LogProducer {
    catalog: Catalog,
    closing: CancellationToken,
    user: User,
}

impl LogProducer {
    /// Adds lines, each with its time in the agent's words. Returns once they are durable: an agent that writes faster
    /// than that is slowed down. Returns false if they are lost, as the daemon ends while the catalog is away.
    pub async fn append(&self, lines: Vec<(String, String)>) -> bool {
        let lines: Vec<LogLine> = lines.into_iter().map(|(time, line)| log_line(time, line)).collect();
        loop {
            match append(&self.catalog, self.user.id, lines.clone()).await {
                Ok(()) => {
                    self.user.logs.changed(self.user.id);
                    return true;
                }
                Err(error) => {
                    tracing::warn!(deployment = %self.user.id.0, error = %chain(&error),
                        "could not record the log of a deployment; trying again");
                    if self.closing.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                        return false;
                    }
                }
            }
        }
    }
}

/// A reader's end of a log.
pub struct LogView {
    catalog: Catalog,
    user: User,
    changed: watch::Receiver<()>,
    after: u64,
    /// When the deployment was first seen to have ended, with nothing more to read.
    ended: Option<Instant>,
    /// The last line that is given, once nothing more is waited for.
    last: Option<u64>,
}

impl LogView {
    /// Waits for the next lines. `None` at the end: the deployment has ended, and nothing more is to be expected, or an
    /// agent goes on writing all the same.
    pub async fn next(&mut self) -> Result<Option<Vec<NumberedLine>>, CatalogError> {
        loop {
            self.changed.mark_unchanged();
            // In this order: what was printed before the end is there once the end is.
            let Some(record) = self.catalog.find_deployment(self.user.id).await? else { return Ok(None) };
            let mut lines = self.catalog.read_log(self.user.id, self.after, PAGE).await?;
            if self.last.is_none() && self.closes_at().is_some_and(|at| at <= Instant::now()) {
                self.last = Some(record.log_lines);
            }
            lines.retain(|line| self.last.is_none_or(|last| line.number <= last));
            if let Some(line) = lines.last() {
                self.after = line.number;
                return Ok(Some(lines));
            }
            if self.last.is_some() {
                return Ok(None);
            }
            if record.status.is_final() {
                self.ended.get_or_insert_with(Instant::now);
            }
            if let Some(at) = self.closes_at() {
                // Either way there is one more look.
                let _ = timeout_at(at, self.changed.changed()).await;
            } else if self.catalog.is_shared() {
                let _ = timeout(LOOK_SHARED, self.changed.changed()).await;
            } else {
                // The sender lives as long as `user`.
                let _ = self.changed.changed().await;
            }
        }
    }

    fn closes_at(&self) -> Option<Instant> {
        let producing = self.user.logs.has_producer(self.user.id);
        self.ended.map(|ended| ended + if producing { GRACE_CONNECTED } else { GRACE_GONE })
    }
}

impl Deploy {
    /// Opens a log for its agent.
    pub fn produce_log(&self, id: DeploymentId) -> LogProducer {
        let (user, _) = self.logs.open(id, true);
        LogProducer { catalog: self.catalog.clone(), closing: self.closing.clone(), user }
    }

    /// Opens a log for a reader, from its beginning.
    pub fn view_log(&self, id: DeploymentId) -> LogView {
        self.view_log_after(id, 0)
    }

    /// Opens a log for a reader who has the lines up to this number.
    pub fn view_log_after(&self, id: DeploymentId, after: u64) -> LogView {
        let (user, changed) = self.logs.open(id, false);
        LogView { catalog: self.catalog.clone(), user, changed, after, ended: None, last: None }
    }

    /// Writes into the log of a deployment why it came to its end without its agent.
    pub(super) async fn close_log(&self, id: DeploymentId, reason: &str) -> Result<(), CatalogError> {
        let text = format!("{}: {reason}", LAST_LINES[1]);
        append(&self.catalog, id, vec![log_line(now(), text)]).await?;
        self.logs.changed(id);
        Ok(())
    }
}

async fn append(catalog: &Catalog, id: DeploymentId, lines: Vec<LogLine>) -> Result<(), CatalogError> {
    let notice = format!("[truncated: the server keeps {} MiB of each log]", LIMIT >> 20);
    let notice = LogLine { time: now(), line: notice, is_last: false };
    catalog.append_log(LogAppend { deployment: id, lines, limit: LIMIT, notice }).await?;
    Ok(())
}

fn log_line(mut at: String, mut line: String) -> LogLine {
    const CUT: &str = " [truncated]";
    if line.len() > LINE_LIMIT {
        line.truncate(line.floor_char_boundary(LINE_LIMIT - CUT.len()));
        line.push_str(CUT);
    }
    // PostgreSQL takes no zero bytes in texts.
    if line.contains('\0') {
        line = line.replace('\0', "\u{fffd}");
    }
    if time::parse(&at).is_none() {
        at = now();
    }
    let is_last = is_last_line(&line);
    LogLine { time: at, line, is_last }
}

fn now() -> String {
    time::format(UnixTime::now())
}
