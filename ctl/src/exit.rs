//! The exit codes.

use std::fmt::Write as _;
use std::process::ExitCode;

/// The exit codes: one per kind of failure, so that scripts can tell them apart.
///
/// They are an interface, so a number never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Success.
    Ok = 0,
    /// A failure without a code of its own.
    Other = 1,
    /// The command line is wrong. clap exits with this code by itself.
    Usage = 2,
    /// The daemon cannot be reached or does not answer.
    Unreachable = 3,
    /// The admin socket denies access to this user.
    Denied = 4,
    /// Something that the command names does not exist.
    NotFound = 5,
    /// The daemon refused the request.
    Refused = 6,
    /// cachectl and the daemon speak different versions of the admin API.
    Version = 7,
    /// A long job or a deployment failed, was stopped, or is incomplete.
    Incomplete = 8,
    /// A long job found damage, the doctor or `status --exit-code` found a problem, or a node did not answer.
    Damage = 9,
    /// The user detached from a long job, which continues in the daemon. This is not a success, so that a script does not
    /// go on before the job has ended.
    Detached = 10,
}

impl Exit {
    const ALL: [Self; 11] = [
        Self::Ok,
        Self::Other,
        Self::Usage,
        Self::Unreachable,
        Self::Denied,
        Self::NotFound,
        Self::Refused,
        Self::Version,
        Self::Incomplete,
        Self::Damage,
        Self::Detached,
    ];

    /// The name of the failure in errors as JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Other => "other",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::NotFound => "not-found",
            Self::Refused => "refused",
            Self::Version => "version",
            Self::Incomplete => "incomplete",
            Self::Damage => "damage",
            Self::Detached => "detached",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "success",
            Self::Other => "a failure without a code of its own",
            Self::Usage => "the command line is wrong",
            Self::Unreachable => "the daemon cannot be reached or does not answer",
            Self::Denied => "the admin socket denies access to this user",
            Self::NotFound => "something that the command names does not exist",
            Self::Refused => "the daemon refused the request",
            Self::Version => "cachectl and the daemon have different versions",
            Self::Incomplete => "a job or deployment failed, was stopped, or is incomplete",
            Self::Damage => "a job found damage, the doctor or `status` a problem, or a node did not answer",
            Self::Detached => "detached (Ctrl-C) from a job that continues in the daemon",
        }
    }

    /// Returns the table of exit codes for `--help`.
    pub fn help() -> String {
        let mut text = String::from("Exit codes:\n");
        for exit in Self::ALL {
            writeln!(text, "{:>3}  {}", exit as u8, exit.meaning())
                .expect("writing to a String does not fail");
        }
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
