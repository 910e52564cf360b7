//! Every failure: its text for a person, a hint, and the exit code for scripts.

mod hint;
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
use crate::push::PushError;
pub use job::JobError;
use reach::list_misses;
pub use reach::{Miss, Obstacle};

/// Why a command failed.
#[derive(Debug, Error)]
pub enum Error {
    /// No daemon listens at any of the places where the socket may be.
    #[error("cannot reach the daemon:{}", list_misses(tried))]
    Unreachable {
        /// The places, and why each failed.
        tried: Vec<(PathBuf, Miss)>,
    },
    /// The socket exists, but this user may not open it.
    #[error("permission denied to the daemon at {}", socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
        /// What denies access, if that can be determined.
        obstacle: Option<Obstacle>,
    },
    /// The daemon accepted the request but did not complete its reply in time.
    #[error(
        "the daemon at {} did not answer within {}", socket.display(),
        humantime::format_duration(*waited)
    )]
    Timeout {
        /// The socket.
        socket: PathBuf,
        /// The timeout.
        waited: Duration,
    },
    /// The connection ended before the reply did.
    #[error("lost the connection to the daemon at {}", socket.display())]
    Disconnected {
        /// The socket.
        socket: PathBuf,
        /// The error of the HTTP connection.
        source: hyper::Error,
    },
    /// The reply, or one event of it, is larger than the limit.
    #[error("the reply to {request} is larger than {limit} bytes")]
    TooLarge {
        /// Method and path.
        request: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The daemon returns the same page of a list again.
    #[error(
        "the list of the paths of {} has no end: a page does not continue where the last one stopped",
        plain(cache)
    )]
    EndlessList {
        /// The cache.
        cache: String,
    },
    /// The reply ended properly, but before its last event.
    #[error("the daemon at {} ended its reply too early", socket.display())]
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
    /// The daemon lacks the endpoint.
    #[error("the daemon is older than this cachectl and does not support {request}")]
    TooOld {
        /// Method and path.
        request: String,
    },
    /// The reply does not have the form that the API defines.
    #[error("cannot decode the reply to {request}: {reason}")]
    Malformed {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The daemon replied with an error of the API.
    #[error("{}", plain(&.0.message))]
    Daemon(ApiError),
    /// The reply is an HTTP error that is not one of the API.
    #[error("the reply to {request} is {status} without an explanation")]
    Unexplained {
        /// Method and path.
        request: String,
        /// The status.
        status: StatusCode,
    },
    /// There is no cache at all.
    #[error("there are no caches")]
    NoCaches,
    /// There are several caches, and the command needs one.
    #[error("there are several caches: {}", list_names(caches))]
    WhichCache {
        /// The names of the caches.
        caches: Vec<String>,
    },
    /// The cache has no such key, or not exactly one.
    #[error(
        "cache `{}` has {} signing key called `{}` in use",
        plain(cache),
        if *several { "more than one" } else { "no" },
        plain(key)
    )]
    WhichKey {
        /// The cache.
        cache: String,
        /// The name or the public half of the key.
        key: String,
        /// Whether there is more than one.
        several: bool,
    },
    /// No cache has such a key.
    #[error("no cache has a signing key called `{}` in use", plain(key))]
    NoSuchKey {
        /// The name or the public half of the key.
        key: String,
    },
    /// The user did not confirm the deletion of a cache.
    #[error("cache {} was not deleted: {reason}", plain(cache))]
    Unconfirmed {
        /// The cache.
        cache: String,
        /// Why not.
        reason: &'static str,
    },
    /// The user did not confirm a garbage collection.
    #[error("nothing was removed")]
    NotCollected,
    /// A signing key could not be read.
    #[error("cannot read a signing key from {}: {reason}", from.display())]
    KeyFile {
        /// The file.
        from: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The config that the daemon should load has faults.
    #[error("the config has faults, so nothing was changed:{}", list_lines(faults))]
    FaultyConfig {
        /// The faults, one sentence each.
        faults: Vec<String>,
        /// The daemon's hint.
        hint: Option<String>,
    },
    /// Standard input is no list of paths.
    #[error("cannot use the list of paths on standard input: {reason}")]
    PathList {
        /// What is wrong.
        reason: String,
    },
    /// A file does not specify what to activate.
    #[error("cannot activate {}: {reason}", file.display())]
    Specification {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A deployment that was followed failed or was cancelled.
    #[error("the deployment {deployment} ended as {status}")]
    DeploymentFailed {
        /// Its name, `AGENT#NUMBER`.
        deployment: String,
        /// Its status.
        status: &'static str,
    },
    /// The man pages could not be written.
    #[error("cannot write man pages to {}", directory.display())]
    ManPages {
        /// The directory.
        directory: PathBuf,
        /// The error of the filesystem.
        source: io::Error,
    },
    /// The doctor found something that does not work.
    #[error("{} found", counted(*errors, "error"))]
    Unwell {
        /// The number of errors.
        errors: u64,
    },
    /// The status shows something that needs an operator.
    #[error("{}", problems.join("\n"))]
    Problems {
        /// What it is, a line each.
        problems: Vec<String>,
    },
    /// No node has such an id.
    #[error("there is no node whose id begins with {}", plain(beginning))]
    NoSuchPeer {
        /// The beginning of the id.
        beginning: String,
    },
    /// Some nodes did not answer.
    #[error("{} did not answer", counted(*silent, "node"))]
    SilentPeers {
        /// The number of nodes.
        silent: u64,
    },
    /// Some upstreams did not answer as they should.
    #[error("{} did not answer as it should", counted(*failed, "upstream"))]
    FailedUpstreams {
        /// The number of upstreams.
        failed: u64,
    },
    /// None of the caches holds the path.
    #[error("no cache holds {hash} (looked in: {})", list_names(caches))]
    NoCacheHolds {
        /// The store hash.
        hash: String,
        /// The caches that were searched.
        caches: Vec<String>,
    },
    /// A token was created but could not be printed.
    #[error("the token {} was created but could not be printed", plain(id))]
    TokenLost {
        /// The id of the token.
        id: String,
        /// The error of standard output.
        source: io::Error,
    },
    /// A long job did not succeed, as far as is known.
    #[error(transparent)]
    Job(#[from] JobError),
    /// A push did not succeed.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The reply could not be printed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// The runtime for I/O could not be started.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
}

impl Error {
    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Disconnected { .. }
            | Self::EndedEarly { .. } => Exit::Unreachable,
            Self::Denied { .. } => Exit::Denied,
            Self::NoCaches
            | Self::NoCacheHolds { .. }
            | Self::NoSuchPeer { .. }
            | Self::WhichKey { several: false, .. }
            | Self::NoSuchKey { .. } => Exit::NotFound,
            Self::WhichCache { .. }
            | Self::WhichKey { several: true, .. }
            | Self::Unconfirmed { .. }
            | Self::NotCollected => Exit::Usage,
            Self::FaultyConfig { .. } => Exit::Refused,
            Self::Specification { .. } | Self::PathList { .. } => Exit::Usage,
            Self::DeploymentFailed { .. } => Exit::Incomplete,
            Self::Unwell { .. }
            | Self::Problems { .. }
            | Self::SilentPeers { .. }
            | Self::FailedUpstreams { .. } => Exit::Damage,
            Self::Version { .. } | Self::TooOld { .. } => Exit::Version,
            Self::Job(error) => error.exit(),
            Self::Push(error) => error.exit(),
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

    /// Returns the lines for standard error.
    pub fn report(&self) -> String {
        let text = self.chain();
        match self.hint() {
            Some(hint) => format!("cachectl: {text}\n{hint}"),
            None => format!("cachectl: {text}"),
        }
    }

    /// Returns the error for scripts, as JSON on one line.
    pub fn to_json(&self) -> String {
        json(self.exit(), &self.chain(), self.hint())
    }

    /// Returns the error and its causes, each once.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        text
    }
}

/// Returns the error of a wrong command line for scripts, as JSON on one line.
pub fn usage_to_json(wrong: &clap::Error) -> String {
    let text = wrong.to_string();
    let mut paragraphs = text.trim_end().split("\n\n");
    let message = paragraphs.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let hint = paragraphs.map(|one| one.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    json(Exit::Usage, message, Some(hint.join(" ")).filter(|hint| !hint.is_empty()))
}

fn json(exit: Exit, message: &str, hint: Option<String>) -> String {
    let error = serde_json::json!({
        "code": exit.code(), "exit": exit as u8, "message": message, "hint": hint,
    });
    serde_json::json!({ "error": error }).to_string()
}

/// Returns each line on its own, with other control characters escaped.
fn list_lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {}", plain(line))).collect()
}

/// Makes a sentence of a hint of the daemon, which is a phrase without a capital and a full stop.
pub fn sentence(hint: &str) -> String {
    let mut letters = hint.chars();
    let mut text: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    if !text.ends_with(['.', '?', '!']) {
        text.push('.');
    }
    plain(&text)
}

fn list_names(names: &[String]) -> String {
    if names.is_empty() {
        return "there are no caches".to_owned();
    }
    plain(&names.join(", "))
}

#[cfg(test)]
mod tests;
