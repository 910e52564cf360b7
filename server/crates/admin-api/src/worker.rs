use serde::{Deserialize, Serialize};

/// A background task of the daemon, which runs again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Names the worker for pausing it.
    pub name: String,
    /// How it is doing.
    pub state: WorkerState,
    /// What it is for, as one line for a person.
    pub does: String,
    /// When its last run began, in Unix seconds; `None` before the first.
    pub last_run: Option<i64>,
    /// When the next run is due, in Unix seconds; `None` when that is not known, as while it is paused.
    pub next_run: Option<i64>,
    /// What went wrong last. Stays after a run that went well.
    pub last_error: Option<String>,
    /// How many runs in a row have failed, up to the last; 0 after one that went well.
    pub errors_in_a_row: u64,
    /// How far the present run has come, for a person.
    pub progress: Option<String>,
}

/// How a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerState {
    /// It has nothing to do until something happens.
    Idle,
    /// It runs.
    Working,
    /// It waits for the time of its next run.
    Waiting,
    /// It was told to pause, and does until it is resumed or the daemon starts again.
    Paused,
    /// Its last run failed; it tries again later.
    Failing,
    /// Something that this build does not know.
    #[serde(other)]
    Unknown,
}
