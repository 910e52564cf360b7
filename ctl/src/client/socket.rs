//! Finds the daemon's admin socket and connects to it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

use crate::error::{Error, Miss, Obstacle};

/// Returns where the socket may be: only at `explicit` or where `CACHE_SERVER_SOCKET` says, else at each place that daemons use
/// by default, the most likely first.
pub fn candidates(explicit: Option<PathBuf>, env: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let named = || env("CACHE_SERVER_SOCKET").filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = explicit.or_else(named) {
        return vec![path];
    }
    // The XDG Base Directory Specification says to ignore relative values.
    let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state_home = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));

    let mut paths = vec![PathBuf::from("/run/cache-server/admin.sock")];
    paths.extend(state_home.map(|state| state.join("cache-server/admin.sock")));
    paths.push(PathBuf::from("/var/lib/cache-server/admin.sock"));
    paths
}

/// Connects to the first candidate on which a daemon listens.
///
/// A candidate without permission for this user ends the search: a daemon runs there, and silently talking to another
/// one would be wrong.
///
/// # Errors
///
/// [`Error::Denied`], or [`Error::Unreachable`] with the state of each candidate.
pub async fn connect(candidates: &[PathBuf]) -> Result<(PathBuf, UnixStream), Error> {
    let mut tried = Vec::with_capacity(candidates.len());
    for path in candidates {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok((path.clone(), stream)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Error::Denied { socket: path.clone(), obstacle: find_obstacle(path) });
            }
            Err(error) => tried.push((path.clone(), miss(path, error))),
        }
    }
    Err(Error::Unreachable { tried })
}

pub(super) fn miss(path: &Path, error: io::Error) -> Miss {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Miss::Absent,
        io::ErrorKind::ConnectionRefused => match fs::metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => Miss::NotASocket,
            _ => Miss::Stale,
        },
        // The daemon's backlog of connections is full.
        io::ErrorKind::WouldBlock => Miss::Busy,
        _ => Miss::Other(error),
    }
}

/// Returns what denies access to this user: the socket, or the innermost directory above it that can be inspected.
pub(super) fn find_obstacle(socket: &Path) -> Option<Obstacle> {
    socket.ancestors().find_map(permissions)
}

/// Returns the mode and the group of a file; `None` if it cannot be inspected.
pub fn permissions(path: &Path) -> Option<Obstacle> {
    let metadata = fs::metadata(path).ok()?;
    Some(Obstacle {
        path: path.to_owned(),
        is_directory: metadata.is_dir(),
        mode: metadata.mode() & 0o7777,
        gid: metadata.gid(),
        group: fs::read_to_string("/etc/group").ok().and_then(|groups| find_group(&groups, metadata.gid())),
    })
}

/// Finds the name of a group in the text of `/etc/group`.
pub(super) fn find_group(groups: &str, gid: u32) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let line_gid: u32 = fields.nth(1)?.parse().ok()?;
        (line_gid == gid).then(|| name.to_owned())
    })
}
