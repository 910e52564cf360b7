//! The Unix socket for `cachectl`: whoever can open it may do everything, so its mode and group are the lock.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Gid, Mode};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;

use crate::config::{ServerConfig, find_group};

/// Connections that wait to be taken.
const BACKLOG: i32 = 128;

/// Listens on the socket, in the place of what a daemon left that is gone: the lock on the state directory proves that
/// none is running. Nobody but the mode and group of the configuration is let in, not for a moment.
pub fn bind(server: &ServerConfig) -> io::Result<UnixListener> {
    let path = &server.admin_socket;
    let group = server.admin_socket_group.as_deref().map(find_group).transpose().map_err(io::Error::other)?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let socket = bind_closed(path)?;
    if let Some(group) = group {
        give_to(path, group)?;
    }
    rustix::fs::chmod(path, Mode::from_raw_mode(server.admin_socket_mode))?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

/// A socket that nobody can connect to.
fn bind_closed(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Linux gives the file the mode of the socket that is bound to it.
    rustix::fs::fchmod(&socket, Mode::empty())?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn give_to(path: &Path, group: u32) -> io::Result<()> {
    rustix::fs::chown(path, None, Some(Gid::from_raw(group))).map_err(|error| {
        let error = io::Error::from(error);
        let text = format!(
            "cannot give it to the group with number {group}: {error}; the user of the daemon has to be a member of it"
        );
        io::Error::new(error.kind(), text)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_socket_is_closed_to_everybody_until_it_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _socket = bind_closed(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0);
    }
}
