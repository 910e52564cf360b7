use serde::{Deserialize, Serialize};

use super::{JobInfo, JobSummary, Unit};
use crate::ApiError;

/// An event in the reply to a [`JobRequest`](super::JobRequest).
///
/// The first event is [`Started`](Self::Started). The last is [`Done`](Self::Done), [`Failed`](Self::Failed) or
/// [`Stopped`](Self::Stopped). A reply that ends without one of these was cut off, and the job may still be running.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum JobEvent {
    /// The job is running.
    Started {
        /// The job at that time.
        job: JobInfo,
        /// Whether the job was already running.
        joined: bool,
    },
    /// The progress of the job.
    Progress {
        /// The finished amount, in `unit`. A resumed job includes what it finished before.
        done: u64,
        /// The whole amount, in `unit`, as far as is known. It may change.
        total: Option<u64>,
        /// What `done` and `total` count. It may change when the job enters another phase.
        unit: Unit,
        /// What the job is doing, for a person.
        message: Option<String>,
    },
    /// Something that a person should know but that does not end the job, such as one damaged NAR.
    Note {
        /// How serious it is.
        level: NoteLevel,
        /// What happened, in one sentence for a person.
        text: String,
    },
    /// The job completed.
    Done {
        /// The result of the job.
        summary: JobSummary,
    },
    /// The job failed.
    Failed {
        /// Why, and what the person can do about it.
        error: ApiError,
    },
    /// The job was stopped. A new request for the same job resumes it if jobs of its kind can be resumed.
    Stopped {
        /// Why the job was stopped.
        cause: StopCause,
        /// The job at that time.
        job: JobInfo,
    },
    /// An event that this build does not know and can ignore.
    #[serde(other)]
    Unknown,
}

/// How serious a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteLevel {
    /// Information.
    Info,
    /// Something is not as it should be.
    Warn,
}

/// Why a job was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopCause {
    /// [`StopJob`](super::StopJob)
    Request,
    /// The daemon shut down.
    Shutdown,
    /// A cause that this build does not know.
    #[serde(other)]
    Unknown,
}
