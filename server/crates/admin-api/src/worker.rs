use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Since};

/// Lists the background workers by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListWorkers {}

impl Endpoint for ListWorkers {
    type Reply = Vec<WorkerInfo>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/workers";
    const SINCE: Since = Since::Workers;
}

/// Pauses a worker. Pausing a paused worker changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseWorker {
    /// The name of the worker.
    pub worker: String,
}

impl Endpoint for PauseWorker {
    type Reply = WorkerInfo;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/workers/{worker}/pause";
    const SINCE: Since = Since::Workers;
}

/// Resumes a worker. Resuming a worker that is not paused changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeWorker {
    /// The name of the worker.
    pub worker: String,
}

impl Endpoint for ResumeWorker {
    type Reply = WorkerInfo;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/workers/{worker}/resume";
    const SINCE: Since = Since::Workers;
}

/// A background worker of the daemon, which works in rounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// The name by which the worker can be paused.
    pub name: String,
    /// What the worker is doing.
    pub state: WorkerState,
    /// What the worker is for, in one line for a person.
    pub does: String,
    /// When the last run began; `None` before the first.
    pub last_run: Option<i64>,
    /// When the next run is due; `None` if that is unknown, as while the worker is paused.
    pub next_run: Option<i64>,
    /// The last error. It stays after a successful run.
    pub last_error: Option<String>,
    /// The number of consecutive runs that failed, up to the last; 0 after a successful run.
    pub errors_in_a_row: u64,
    /// The progress of the current run, for a person.
    pub progress: Option<String>,
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerState {
    /// It waits for something to do.
    Idle,
    /// It runs.
    Working,
    /// It waits for the time of its next run.
    Waiting,
    /// It is paused until it is resumed or the daemon restarts.
    Paused,
    /// Its last run failed. It retries later.
    Failing,
    /// A state that this build does not know.
    #[serde(other)]
    Unknown,
}
