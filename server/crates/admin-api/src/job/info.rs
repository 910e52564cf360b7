use serde::{Deserialize, Serialize};

use super::{JobKind, JobSummary};

/// A long job, running or one of the last that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobInfo {
    /// Names the job for stopping it.
    pub id: String,
    /// What it does.
    pub kind: JobKind,
    /// What it works on, for a person: `main/hdd`, `all storages of main`, `everything`; of a backup the file, of a
    /// deletion the cache.
    pub subject: String,
    /// When it started, in Unix seconds.
    pub started_at: i64,
    /// When it ended, in Unix seconds; `None` while it runs.
    pub finished_at: Option<i64>,
    /// How it is doing.
    pub state: JobState,
    /// How much it has done, in `unit`. A job that resumed counts what was done before.
    pub done: u64,
    /// How much there is to do, in `unit`, as far as is known; may change.
    pub total: Option<u64>,
    /// What `done` and `total` count.
    pub unit: Unit,
    /// What went wrong last, which need not have ended the job.
    pub last_error: Option<String>,
    /// What it came to; `None` unless it is [`JobState::Done`].
    pub summary: Option<JobSummary>,
}

/// How a long job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It has not ended.
    Running,
    /// It got to its end. What it found on the way may be bad.
    Done,
    /// It had to give up.
    Failed,
    /// It was told to stop, or the daemon ended.
    Stopped,
}

/// What the figures of a long job count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes of files.
    Bytes,
    /// Files.
    Files,
    /// Store paths.
    Paths,
    /// Something that this build does not know.
    #[serde(other)]
    Unknown,
}
