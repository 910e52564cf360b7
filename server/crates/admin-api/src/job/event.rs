use serde::{Deserialize, Serialize};

use super::{JobInfo, JobSummary, Unit};
use crate::ApiError;

/// One line of the answer to a [`JobRequest`](super::JobRequest).
///
/// The first is [`Started`](Self::Started). [`Done`](Self::Done), [`Failed`](Self::Failed) or
/// [`Stopped`](Self::Stopped) is the last; an answer that ends without one of these was cut off, and the job may
/// still run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum JobEvent {
    /// The job runs.
    Started {
        /// The job as it is now.
        job: JobInfo,
        /// Whether it ran already.
        joined: bool,
    },
    /// How far it has come.
    Progress {
        /// How much is done, in `unit`. A job that resumed counts what was done before.
        done: u64,
        /// How much there is to do, in `unit`, as far as is known; may change.
        total: Option<u64>,
        /// What `done` and `total` count; may change when the job comes to another part of its work.
        unit: Unit,
        /// What it is at now, for a person.
        message: Option<String>,
    },
    /// Something that a person should know and that does not end the job, such as one damaged NAR.
    Note {
        /// How bad it is.
        level: NoteLevel,
        /// What happened, as one sentence for a person.
        text: String,
    },
    /// It got to its end.
    Done {
        /// What it came to.
        summary: JobSummary,
    },
    /// It had to give up.
    Failed {
        /// Why, and what the person can do about it.
        error: ApiError,
    },
    /// It was ended before its end. Asking for the same job again resumes it where jobs of its kind can.
    Stopped {
        /// What ended it.
        cause: StopCause,
        /// The job as it was then.
        job: JobInfo,
    },
    /// An event that this build does not know, and can do without.
    #[serde(other)]
    Unknown,
}

/// How bad the content of a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteLevel {
    /// Good to know.
    Info,
    /// Something is not as it should be.
    Warn,
}

/// What ended a job before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopCause {
    /// `POST /v1/jobs/ID/stop`
    Request,
    /// The daemon ends.
    Shutdown,
    /// Something that this build does not know.
    #[serde(other)]
    Unknown,
}
