//! Why the daemon cannot be reached, as far as that can be seen.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// What is wrong with a place where the daemon could listen.
#[derive(Debug, Error)]
pub enum Miss {
    /// Nothing is there.
    #[error("does not exist")]
    Absent,
    /// A socket is there but no daemon behind it.
    #[error("is left over from a daemon that has ended")]
    Stale,
    /// Something else is there.
    #[error("is not a socket")]
    NotASocket,
    /// A daemon is there but takes no more connections.
    #[error("takes no more connections at the moment")]
    Busy,
    /// Anything else.
    #[error("{0}")]
    Other(io::Error),
}

/// A file whose permissions keep the user out.
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

/// What is at each place where the daemon could listen.
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

/// What to do when no daemon listens anywhere.
pub fn unreachable_hint(tried: &[(PathBuf, Miss)]) -> String {
    if tried.iter().any(|(_, miss)| matches!(miss, Miss::Busy)) {
        return "Try again in a moment, and see the log of the daemon.".to_owned();
    }
    "Is it running? Start it with `cache-server` or `systemctl start cache-server`. If it is, its \
     log says where its socket is; name that with --socket or CACHE_SERVER_SOCKET."
        .to_owned()
}

/// What to do about what keeps the user out.
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
