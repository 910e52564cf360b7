use admin_api::{ApiError, StopCause};

use super::Error;
use crate::exit::Exit;
use crate::output::plain;

/// How a long job ended, or left its end unknown, when that is no plain success.
///
/// `job` says which job it is, such as `scrub of main/hdd`.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The user has seen enough of a job that runs.
    #[error("detached from the {}, which goes on in the daemon (job {})", plain(job), plain(id))]
    Detached {
        /// The job.
        job: String,
        /// Its id.
        id: String,
    },
    /// The user left before the daemon said that the job runs.
    #[error("left before the daemon said whether the job runs")]
    LeftEarly,
    /// The daemon was lost while the job ran.
    #[error("{source}, so it is not known what came of the {}", plain(job))]
    Lost {
        /// The job.
        job: String,
        /// How the daemon was lost.
        source: Box<Error>,
    },
    /// The job gave up.
    #[error("the {} failed: {}", plain(job), plain(&error.message))]
    Failed {
        /// The job.
        job: String,
        /// Why.
        error: ApiError,
    },
    /// The job was ended before its end.
    #[error("the {} was stopped{}", plain(job), by(*cause))]
    Stopped {
        /// The job.
        job: String,
        /// What ended it.
        cause: StopCause,
    },
    /// The job got to its end but could not do all it should.
    #[error("the {} had to leave {left}", plain(job))]
    Incomplete {
        /// The job.
        job: String,
        /// What it could not do, such as `3 files unread`.
        left: String,
    },
    /// The job got to its end and found what should not be.
    #[error("the {} found damage", plain(job))]
    Damage {
        /// The job.
        job: String,
    },
}

impl JobError {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Detached { .. } | Self::LeftEarly => Exit::Detached,
            Self::Lost { source, .. } => source.exit(),
            Self::Failed { .. } | Self::Stopped { .. } | Self::Incomplete { .. } => Exit::Undone,
            Self::Damage { .. } => Exit::Damage,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Detached { id, .. } => format!(
                "See it with `cachectl job list`, come back by repeating the command, end it with \
                 `cachectl job stop {}`.",
                plain(id)
            ),
            Self::LeftEarly => "`cachectl job list` tells.".to_owned(),
            Self::Lost { .. } => {
                "It may go on: `cachectl job list` tells, and repeating the command joins or resumes it."
                    .to_owned()
            }
            Self::Failed { error: ApiError { hint: Some(hint), .. }, .. } => plain(hint),
            Self::Failed { .. } => {
                "The log of the daemon may say more. Repeat the command once that is mended.".to_owned()
            }
            Self::Stopped { .. } => "Repeat the command to go on with it.".to_owned(),
            Self::Incomplete { .. } => {
                "The notes and `cachectl storage list` say why. Repeat the command once that is mended."
                    .to_owned()
            }
            Self::Damage { .. } => {
                "Pushing the paths of damaged files again heals them; the notes name what was found."
                    .to_owned()
            }
        }
    }
}

fn by(cause: StopCause) -> &'static str {
    match cause {
        StopCause::Request => " with `cachectl job stop`",
        StopCause::Shutdown => " because the daemon ends",
        StopCause::Unknown => "",
    }
}
