//! Why a push fails.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use crate::exit::Exit;
use crate::output::{counted, plain};

/// Why a push, or one request of it, failed.
#[derive(Debug, Error)]
pub enum PushError {
    /// The command line names no paths, and nothing is piped in.
    #[error("there is nothing to push")]
    NoPaths,
    /// A path is neither in the store nor a link into it.
    #[error("{} is not in the Nix store and does not lead there", path.display())]
    NotInStore {
        /// The path.
        path: PathBuf,
    },
    /// A file or directory cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the filesystem.
        source: io::Error,
    },
    /// Nix did not answer as expected.
    #[error("{command} failed: {}", plain(reason))]
    Nix {
        /// The command.
        command: &'static str,
        /// What it printed, or why it did not start.
        reason: String,
    },
    /// The contents of a path are not those that Nix recorded.
    #[error("the contents of {path} changed since Nix recorded them")]
    Corrupt {
        /// The store path.
        path: String,
    },
    /// A file with a secret does not hold one.
    #[error("cannot read a {what} from {from}: {reason}")]
    Secret {
        /// What should be there.
        what: &'static str,
        /// The file or the variable.
        from: String,
        /// What is wrong.
        reason: String,
    },
    /// The token may only read, or does not count.
    #[error("the token may not write to cache {}", plain(cache))]
    ReadOnly {
        /// The cache.
        cache: String,
    },
    /// There is no token, and the cache takes nothing without one.
    #[error("no token for cache {} was found", plain(cache))]
    NoToken {
        /// The cache.
        cache: String,
    },
    /// The cache does not publish signatures of the key.
    #[error("cache {} does not know the signing key {}", plain(cache), plain(key))]
    UnknownKey {
        /// The cache.
        cache: String,
        /// The name of the key.
        key: String,
    },
    /// The server cannot be reached, or the connection broke.
    #[error("cannot reach {server}: {}", plain(reason))]
    Connection {
        /// Scheme, host and port.
        server: String,
        /// Why.
        reason: String,
    },
    /// The server does not answer.
    #[error("{server} did not answer within {}", humantime::format_duration(*waited))]
    Timeout {
        /// Scheme, host and port.
        server: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The server refuses a request.
    #[error("{what} was refused with {status}: {}", plain(reason))]
    Refused {
        /// The request, for a person.
        what: String,
        /// The status.
        status: StatusCode,
        /// The text that came along.
        reason: String,
        /// How long the server wants us to wait before we ask again.
        retry_after: Option<Duration>,
    },
    /// The answer is not what the API defines.
    #[error("cannot decode the answer of {server}: {reason}")]
    Malformed {
        /// Scheme, host and port.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Some paths were not pushed.
    #[error("{} not pushed", counted(*failed, "path"))]
    Incomplete {
        /// How many.
        failed: u64,
    },
}

impl PushError {
    /// Whether the same request may succeed later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Timeout { .. } => true,
            Self::Refused { status, .. } => {
                *status == StatusCode::TOO_MANY_REQUESTS
                    || *status == StatusCode::REQUEST_TIMEOUT
                    || status.is_server_error()
            }
            _ => false,
        }
    }

    /// Whether all other paths would fail in the same way.
    pub fn concerns_all(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status == StatusCode::UNAUTHORIZED,
            _ => false,
        }
    }

    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoPaths => Exit::Usage,
            Self::NotInStore { .. } => Exit::NotFound,
            Self::Connection { .. } | Self::Timeout { .. } => Exit::Unreachable,
            Self::ReadOnly { .. } | Self::NoToken { .. } => Exit::Denied,
            Self::UnknownKey { .. } => Exit::Refused,
            Self::Refused { status, .. } => match *status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Denied,
                StatusCode::NOT_FOUND => Exit::NotFound,
                _ => Exit::Refused,
            },
            Self::Incomplete { .. } => Exit::Incomplete,
            Self::Unreadable { .. }
            | Self::Nix { .. }
            | Self::Corrupt { .. }
            | Self::Secret { .. }
            | Self::Malformed { .. } => Exit::Other,
        }
    }

    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoPaths => "Name paths, such as ./result, or pipe a list of them into the command.",
            Self::NotInStore { .. } => "Name a store path, a symbolic link to one, or something below one.",
            Self::Nix { .. } => "`nix-store` must be in PATH, and this user must have access to the store.",
            Self::Corrupt { .. } => {
                "`nix-store --verify --check-contents` finds such paths, and `nix-store --repair-path` restores them."
            }
            Self::Secret { what: "signing key", .. } => {
                "The file must hold what `nix key generate-secret` prints: NAME:BASE64."
            }
            Self::Secret { .. } => {
                "The file must hold what `cachectl token create` prints, and nothing else."
            }
            Self::ReadOnly { .. } => {
                "It may be for reading only, expired, revoked, or of another server. `cachectl token create --cache NAME \
                 --permission write` on the server makes a new one."
            }
            Self::NoToken { .. } => {
                "Pass one with --token-file, CACHE_SERVER_TOKEN or a netrc file. `cachectl token create --cache NAME --permission \
                 write` on the server makes one."
            }
            Self::UnknownKey { .. } => {
                "Register it with `cachix generate-keypair`, or push without --signing-key-file to a cache that signs by itself."
            }
            Self::Connection { .. } => "Check --server, and that the server is reachable from here.",
            Self::Timeout { .. } => "The server may be overloaded. Try again, or wait longer with --timeout.",
            Self::Refused { status, .. } => match *status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    "Pass a token with --token-file, CACHE_SERVER_TOKEN or a netrc file. `cachectl token create --cache NAME \
                     --permission write` on the server makes one."
                }
                StatusCode::NOT_FOUND => "Check --server and --cache.",
                _ => return None,
            },
            Self::Malformed { .. } => "Check that --server is the URL of a cache-server.",
            Self::Incomplete { .. } => "Repeat the command: it uploads only what is still missing.",
            Self::Unreadable { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

impl PushError {
    /// Returns the error and its causes, each once.
    pub fn chain(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}
