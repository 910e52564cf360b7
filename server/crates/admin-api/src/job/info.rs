use serde::{Deserialize, Serialize};

use super::{JobKind, JobSummary};

/// A long job that is running or ended recently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobInfo {
    /// The id by which [`StopJob`](super::StopJob) names the job.
    pub id: String,
    /// The kind of the job.
    pub kind: JobKind,
    /// What the job works on, for a person: `main/hdd`, `all storages of main`, `everything`. For a backup it is the
    /// file, for a deletion the cache, for an import or an export where it comes from and where it goes.
    pub subject: String,
    /// When the job started.
    pub started_at: i64,
    /// When the job ended; `None` while it runs.
    pub finished_at: Option<i64>,
    /// The state of the job.
    pub state: JobState,
    /// The finished amount, in `unit`. A resumed job includes what it finished before.
    pub done: u64,
    /// The whole amount, in `unit`, as far as is known. It may change.
    pub total: Option<u64>,
    /// What `done` and `total` count.
    pub unit: Unit,
    /// The last error, which did not necessarily end the job.
    pub last_error: Option<String>,
    /// The result; `None` unless the state is [`JobState::Done`].
    pub summary: Option<JobSummary>,
}

/// The state of a long job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// The job has not ended.
    Running,
    /// The job completed. It may have found damage.
    Done,
    /// The job failed.
    Failed,
    /// The job was stopped by a request or because the daemon shut down.
    Stopped,
}

/// What the progress of a long job counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes of files.
    Bytes,
    /// Files.
    Files,
    /// Store paths.
    Paths,
    /// A unit that this build does not know.
    #[serde(other)]
    Unknown,
}
