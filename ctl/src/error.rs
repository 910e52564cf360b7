//! Everything that can go wrong, told to a person and to scripts.

mod job;
mod reach;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use admin_api::{API_VERSION, ApiError, ErrorCode};
use http::StatusCode;
use thiserror::Error;

use crate::exit::Exit;
use crate::output::{counted, plain};
pub use job::JobError;
pub use reach::{Miss, Obstacle};
use reach::{denied_hint, list_misses, unreachable_hint};

/// Why a command failed.
#[derive(Debug, Error)]
pub enum Error {
    /// No daemon listens at any of the places it could be at.
    #[error("cannot reach the daemon:{}", list_misses(tried))]
    Unreachable {
        /// The places and what is there.
        tried: Vec<(PathBuf, Miss)>,
    },
    /// The socket exists but is closed to this user.
    #[error("not permitted to talk to the daemon at {}", socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
        /// What keeps the user out, if that can be seen.
        obstacle: Option<Obstacle>,
    },
    /// The daemon took the request but sent no whole answer in time.
    #[error(
        "the daemon at {} did not answer within {}", socket.display(),
        humantime::format_duration(*waited)
    )]
    Timeout {
        /// The socket.
        socket: PathBuf,
        /// The time given to it.
        waited: Duration,
    },
    /// The connection ended before the answer did.
    #[error("the daemon at {} broke off: {source}", socket.display())]
    BrokenOff {
        /// The socket.
        socket: PathBuf,
        /// What HTTP makes of it.
        source: hyper::Error,
    },
    /// The answer, or one line of it, is larger than any should be.
    #[error("the answer to {request} is larger than {limit} bytes")]
    TooLarge {
        /// Method and path.
        request: String,
        /// The size that it may have.
        limit: usize,
    },
    /// The daemon gives the same page of a list again and again.
    #[error(
        "the list of the paths of {} has no end: a page does not go on where the last one ended",
        plain(cache)
    )]
    EndlessList {
        /// The cache.
        cache: String,
    },
    /// The daemon ended the answer as if it were whole, before it was.
    #[error("the daemon at {} ended its answer too early", socket.display())]
    EndedEarly {
        /// The socket.
        socket: PathBuf,
    },
    /// The two ends speak different versions of the admin API.
    #[error(
        "cachectl speaks version {API_VERSION} of the admin API, \
         but the daemon at {} speaks version {daemon}", socket.display()
    )]
    Version {
        /// The socket.
        socket: PathBuf,
        /// The version that the daemon states.
        daemon: u32,
    },
    /// The daemon has nothing of the kind that the command is about.
    #[error("the daemon is older than this cachectl: it has no {what}")]
    TooOld {
        /// What it lacks.
        what: &'static str,
    },
    /// The answer is not what the API promises.
    #[error("cannot make sense of the answer to {request}: {reason}")]
    Malformed {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The daemon answered with an error of its API.
    #[error("{}", plain(&.0.message))]
    Daemon(ApiError),
    /// Something answered with an HTTP error that is not one of the API.
    #[error("{request} was answered with {status} and no explanation")]
    Unexplained {
        /// Method and path.
        request: String,
        /// The status.
        status: StatusCode,
    },
    /// There is no cache of the name.
    #[error("there is no cache {} (there are: {})", plain(name), list_names(caches))]
    NoSuchCache {
        /// The name.
        name: String,
        /// The names of the caches that there are.
        caches: Vec<String>,
    },
    /// There is no cache at all.
    #[error("there are no caches")]
    NoCaches,
    /// There are several caches, and the command is about one.
    #[error("there are several caches: {}", list_names(caches))]
    WhichCache {
        /// The names of the caches.
        caches: Vec<String>,
    },
    /// The cache has no such key, or not exactly one.
    #[error("cache {} has {} signing key {} that is in use", plain(cache), if *several { "more than one" } else { "no" }, plain(key))]
    WhichKey {
        /// The cache.
        cache: String,
        /// The name or the public half of the key.
        key: String,
        /// Whether there is more than one.
        several: bool,
    },
    /// No cache has such a key.
    #[error("no cache has a signing key {} that is in use", plain(key))]
    NoSuchKey {
        /// The name or the public half of the key.
        key: String,
    },
    /// The user did not say that the cache shall really be deleted.
    #[error("cache {} was not deleted: {reason}", plain(cache))]
    Unconfirmed {
        /// The cache.
        cache: String,
        /// Why not.
        reason: &'static str,
    },
    /// A signing key could not be read.
    #[error("cannot read a signing key from {}: {reason}", from.display())]
    KeyFile {
        /// The file.
        from: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The config that the daemon was to load has faults.
    #[error("the config is faulty, so nothing was changed:{}", list_lines(faults))]
    FaultyConfig {
        /// What is wrong with it.
        faults: Vec<String>,
        /// What the daemon says to do about it.
        hint: Option<String>,
    },
    /// A file does not say what is to be deployed.
    #[error("{} cannot be activated: {reason}", file.display())]
    Specification {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A deployment that was followed came to no good end.
    #[error("deployment {deployment} is {status}")]
    Undeployed {
        /// How it is called.
        deployment: String,
        /// What became of it.
        status: &'static str,
    },
    /// The man pages could not be written.
    #[error("cannot write man pages to {}: {source}", directory.display())]
    ManPages {
        /// Where to.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The doctor found something that does not work.
    #[error("{} found", counted(*errors, "error"))]
    Unwell {
        /// How many things those are.
        errors: u64,
    },
    /// No node has such an id.
    #[error("no node is known whose id begins with {}", plain(beginning))]
    NoSuchPeer {
        /// What the id was to begin with.
        beginning: String,
    },
    /// Nodes that were asked for a sign of life gave none.
    #[error("{} did not answer", counted(*silent, "node"))]
    SilentPeers {
        /// How many.
        silent: u64,
    },
    /// None of the caches holds the path.
    #[error("no cache holds a store path {hash} (looked in: {})", list_names(caches))]
    NoCacheHolds {
        /// The store hash.
        hash: String,
        /// The caches that were asked.
        caches: Vec<String>,
    },
    /// A token was made but could not be handed over.
    #[error("the token {} was made, but printing it failed: {source}", plain(id))]
    TokenLost {
        /// The id of the token.
        id: String,
        /// Why it could not be printed.
        source: io::Error,
    },
    /// A long job did not come to a good end, as far as is known.
    #[error(transparent)]
    Job(#[from] JobError),
    /// Standard output does not take the answer.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// The system did not give what it takes to do any I/O.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
}

impl Error {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::BrokenOff { .. }
            | Self::EndedEarly { .. } => Exit::Unreachable,
            Self::Denied { .. } => Exit::Denied,
            Self::NoCaches
            | Self::NoSuchCache { .. }
            | Self::NoCacheHolds { .. }
            | Self::NoSuchPeer { .. }
            | Self::WhichKey { several: false, .. }
            | Self::NoSuchKey { .. } => Exit::NotFound,
            Self::WhichCache { .. } | Self::WhichKey { several: true, .. } | Self::Unconfirmed { .. } => {
                Exit::Usage
            }
            Self::FaultyConfig { .. } => Exit::Refused,
            Self::Specification { .. } => Exit::Usage,
            Self::Undeployed { .. } => Exit::Undone,
            Self::Unwell { .. } | Self::SilentPeers { .. } => Exit::Damage,
            Self::Version { .. } | Self::TooOld { .. } => Exit::Version,
            Self::Job(error) => error.exit(),
            Self::Daemon(error) => match error.code {
                ErrorCode::NotFound => Exit::NotFound,
                ErrorCode::Invalid | ErrorCode::Conflict => Exit::Refused,
                ErrorCode::VersionMismatch => Exit::Version,
                ErrorCode::Unavailable | ErrorCode::Internal | ErrorCode::Unknown => Exit::Other,
            },
            Self::TooLarge { .. }
            | Self::EndlessList { .. }
            | Self::Malformed { .. }
            | Self::Unexplained { .. }
            | Self::TokenLost { .. }
            | Self::KeyFile { .. }
            | Self::ManPages { .. }
            | Self::Output(_)
            | Self::Runtime(_) => Exit::Other,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { tried } => Some(unreachable_hint(tried)),
            Self::Denied { obstacle, .. } => Some(denied_hint(obstacle.as_ref())),
            Self::Timeout { .. } => {
                Some("It may be overloaded: see its log, or wait longer with --timeout.".into())
            }
            Self::BrokenOff { .. } | Self::EndedEarly { .. } => {
                Some("It may have been restarted: try again, and see its log.".into())
            }
            Self::Version { daemon, .. } if *daemon > API_VERSION => {
                Some("Use the cachectl that came with the daemon.".into())
            }
            Self::Version { .. } | Self::TooOld { .. } => {
                Some("Restart the daemon if it was upgraded, else use its own cachectl.".into())
            }
            Self::Malformed { .. } | Self::TooLarge { .. } | Self::Unexplained { .. } => Some(
                "Is this cache-server's admin socket, and is the daemon of the same version? \
                 `cachectl --version` and `cachectl status` tell."
                    .into(),
            ),
            Self::Daemon(error) => error.hint.as_deref().map(plain),
            Self::EndlessList { .. } => Some("The log of the daemon may say more.".into()),
            Self::NoCaches | Self::NoSuchCache { .. } | Self::Unwell { .. } => None,
            Self::NoSuchPeer { .. } => Some("`cachectl peer list` shows the nodes.".into()),
            Self::SilentPeers { .. } => {
                Some("Is the daemon there running, and its port open from here?".into())
            }
            Self::WhichCache { .. } => Some("Say which one with --cache.".into()),
            Self::WhichKey { several: true, .. } => {
                Some("Name it by its public key, as `cachectl key list` shows it.".into())
            }
            Self::WhichKey { .. } | Self::NoSuchKey { .. } => {
                Some("`cachectl key list` shows the keys.".into())
            }
            Self::Unconfirmed { .. } => Some("With --yes it is not asked.".into()),
            Self::KeyFile { .. } => {
                Some("It is to hold what `nix key generate-secret` writes: NAME:BASE64.".into())
            }
            Self::FaultyConfig { hint, .. } => hint.as_deref().map(plain),
            Self::Job(error) => Some(error.hint()),
            Self::NoCacheHolds { .. } => {
                Some("Push it, or see what caches there are with `cachectl cache list`.".into())
            }
            Self::TokenLost { id, .. } => Some(format!("Revoke it: cachectl token revoke {}", plain(id))),
            Self::Specification { .. } => Some(
                "It is to hold JSON: {\"agents\": {\"NAME\": \"/nix/store/HASH-NAME\"}, \"rollbackScript\": \
                 {\"SYSTEM\": \"/nix/store/HASH-NAME\"}}, the second part only if there is one."
                    .into(),
            ),
            Self::Undeployed { .. } | Self::ManPages { .. } | Self::Output(_) | Self::Runtime(_) => None,
        }
    }

    /// The lines for standard error.
    pub fn report(&self) -> String {
        match self.hint() {
            Some(hint) => format!("cachectl: {self}\n{hint}"),
            None => format!("cachectl: {self}"),
        }
    }
}

/// Each line on its own, with what else could forge lines made harmless.
fn list_lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {}", plain(line))).collect()
}

fn list_names(names: &[String]) -> String {
    if names.is_empty() {
        return "there are no caches".to_owned();
    }
    plain(&names.join(", "))
}

#[cfg(test)]
mod tests;
