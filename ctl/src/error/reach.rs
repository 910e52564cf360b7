//! Why the daemon cannot be reached.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why there is no daemon at a place where its socket may be.
#[derive(Debug, Error)]
pub enum Miss {
    /// There is no file.
    #[error("does not exist")]
    Absent,
    /// There is a socket, but no daemon listens on it.
    #[error("is left over from a daemon that has stopped")]
    Stale,
    /// There is a file that is not a socket.
    #[error("is not a socket")]
    NotASocket,
    /// A daemon listens there, but its backlog is full.
    #[error("accepts no more connections at the moment")]
    Busy,
    /// Anything else.
    #[error("{0}")]
    Other(io::Error),
}

/// A file whose permissions deny access to the user.
#[derive(Debug)]
pub struct Obstacle {
    /// The socket, or a directory above it.
    pub path: PathBuf,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// The permission bits.
    pub mode: u32,
    /// The group.
    pub gid: u32,
    /// The name of the group, if it has one.
    pub group: Option<String>,
}

/// Lists the places where the socket may be, and why each failed.
pub fn list_misses(tried: &[(PathBuf, Miss)]) -> String {
    if let [(path, miss)] = tried {
        return format!(" {} {miss}", path.display());
    }
    let mut list = String::new();
    for (path, miss) in tried {
        write!(list, "\n  {} {miss}", path.display()).expect("writing to a String does not fail");
    }
    list
}

/// Returns what to do if no daemon listens anywhere.
pub fn unreachable_hint(tried: &[(PathBuf, Miss)]) -> String {
    if tried.iter().any(|(_, miss)| matches!(miss, Miss::Busy)) {
        return "Try again in a moment, and check the daemon's log.".to_owned();
    }
    "Is the daemon running? Start it with `cache-server` or `systemctl start cache-server`. If it is \
     running, its log names its socket; pass that with --socket or CACHE_SERVER_SOCKET."
        .to_owned()
}

/// Returns what to do about a file that denies access.
pub fn denied_hint(obstacle: Option<&Obstacle>) -> String {
    let Some(obstacle) = obstacle else {
        return "Run cachectl with sudo.".to_owned();
    };
    let Obstacle { path, mode, gid, .. } = obstacle;
    let what = if obstacle.is_directory { "directory" } else { "socket" };
    let group = obstacle.group.clone().unwrap_or_else(|| gid.to_string());
    let seen = format!("The {what} {} has mode {mode:04o} and group {group}.", path.display());
    // Connecting needs write access to the socket and search access to the directories above it.
    let needed = if obstacle.is_directory { 0o010 } else { 0o020 };
    if mode & needed == 0 || *gid == 0 {
        return format!("{seen} Run cachectl with sudo.");
    }
    format!(
        "{seen} Run cachectl with sudo, or join the group (`sudo usermod -aG {group} $USER`, then \
         log in again)."
    )
}
