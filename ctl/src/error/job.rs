//! The failures of long jobs.

use admin_api::{ApiError, StopCause};

use super::{Error, sentence};
use crate::exit::Exit;
use crate::output::plain;

/// Why a long job is not a success, or is not known to be one.
///
/// `job` names the job, such as `scrub of main/hdd`.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The user detached from a running job.
    #[error("detached from the {}, which continues in the daemon (job {})", plain(job), plain(id))]
    Detached {
        /// The job.
        job: String,
        /// Its id.
        id: String,
    },
    /// The user detached before the daemon reported that the job is running.
    #[error("detached before the daemon reported whether the job is running")]
    LeftEarly,
    /// The connection to the daemon was lost while the job ran.
    #[error("the outcome of the {} is unknown", plain(job))]
    Lost {
        /// The job.
        job: String,
        /// How the connection was lost.
        source: Box<Error>,
    },
    /// The job failed.
    #[error("the {} failed: {}", plain(job), plain(&error.message))]
    Failed {
        /// The job.
        job: String,
        /// Why.
        error: ApiError,
    },
    /// The job was stopped.
    #[error("the {} was stopped{}", plain(job), by(*cause))]
    Stopped {
        /// The job.
        job: String,
        /// Why it was stopped.
        cause: StopCause,
    },
    /// The job completed, but could not do everything.
    #[error("the {} is incomplete: {left}", plain(job))]
    Incomplete {
        /// The job.
        job: String,
        /// What it could not do, such as `3 files not read`.
        left: String,
    },
    /// The job completed and found damage.
    #[error("the {} found damage", plain(job))]
    Damage {
        /// The job.
        job: String,
    },
}

impl JobError {
    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Detached { .. } | Self::LeftEarly => Exit::Detached,
            Self::Lost { source, .. } => source.exit(),
            Self::Failed { .. } | Self::Stopped { .. } | Self::Incomplete { .. } => Exit::Incomplete,
            Self::Damage { .. } => Exit::Damage,
        }
    }

    /// Returns what the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Detached { id, .. } => format!(
                "`cachectl job list` shows its progress, the same command joins it again, and \
                 `cachectl job stop {}` stops it.",
                plain(id)
            ),
            Self::LeftEarly => "`cachectl job list` shows the running jobs.".to_owned(),
            Self::Lost { .. } => {
                "The job may still be running; `cachectl job list` shows it. Repeat the command to join or resume it."
                    .to_owned()
            }
            Self::Failed { error: ApiError { hint: Some(hint), .. }, .. } => sentence(hint),
            Self::Failed { .. } => {
                "The daemon's log may say more. Repeat the command once the cause is fixed.".to_owned()
            }
            Self::Stopped { .. } => "Repeat the command to resume it.".to_owned(),
            Self::Incomplete { .. } => {
                "The warnings and `cachectl storage list` say why. Repeat the command once the cause is fixed."
                    .to_owned()
            }
            Self::Damage { .. } => {
                "The warnings name the damaged files. Push their paths again to repair them."
                    .to_owned()
            }
        }
    }
}

fn by(cause: StopCause) -> &'static str {
    match cause {
        StopCause::Request => " with `cachectl job stop`",
        StopCause::Shutdown => " because the daemon shut down",
        StopCause::Unknown => "",
    }
}
