use std::fmt::Write as _;
use std::process::ExitCode;

/// The exit codes: one per kind of failure, so that scripts can tell them apart.
///
/// They are an interface: a number never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Any failure that has no code of its own.
    Other = 1,
    /// The command line makes no sense; clap exits with this code by itself.
    Usage = 2,
    /// The daemon cannot be reached or does not answer.
    Unreachable = 3,
    /// The admin socket is closed to this user.
    Denied = 4,
    /// What was asked for does not exist.
    NotFound = 5,
    /// The daemon refused the request.
    Refused = 6,
    /// cachectl and the daemon speak different versions of the admin API.
    Version = 7,
    /// A long job failed, was stopped, or got to its end without doing all it should.
    Undone = 8,
    /// A long job got to its end and found damage, the doctor found something that does not work, or a node did not answer.
    Damage = 9,
    /// The user left a long job, which goes on in the daemon. No success: what is to come after the job must not
    /// come yet.
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
        Self::Undone,
        Self::Damage,
        Self::Detached,
    ];

    fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Other => "failed in a way that has no code of its own",
            Self::Usage => "the command line makes no sense",
            Self::Unreachable => "the daemon cannot be reached or does not answer",
            Self::Denied => "the admin socket is closed to this user",
            Self::NotFound => {
                "no such cache, storage, path, pin, key, token, worker, job, agent, workspace, deployment or node"
            }
            Self::Refused => "the daemon refused the request",
            Self::Version => "cachectl and the daemon are of different versions",
            Self::Undone => "a job or deployment failed, was stopped, or left something undone",
            Self::Damage => "a job found damage, the doctor an error, or a node is silent",
            Self::Detached => "left a job that goes on in the daemon (Ctrl-C)",
        }
    }

    /// The table of exit codes for `--help`.
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
