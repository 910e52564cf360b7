//! Why a socket cannot be opened, and what to do about it.

use std::io;

/// An address that is taken, or not ours.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({purpose})")]
pub struct ListenError {
    /// The address.
    pub(super) address: String,
    /// The key of the configuration that asks for it.
    pub(super) purpose: String,
    /// What the system said.
    #[source]
    pub(super) reason: io::Error,
}

impl ListenError {
    /// What to do about it, where the error does not say so itself.
    pub fn advice(&self) -> Option<String> {
        let Self { purpose, reason, .. } = self;
        Some(match reason.kind() {
            io::ErrorKind::AddrInUse => format!(
                "another program listens there, perhaps a second cache-server: stop it, or choose another port ({purpose})"
            ),
            io::ErrorKind::AddrNotAvailable => {
                "no address of this machine: change `server.hostname`; `0.0.0.0` is every address".to_owned()
            }
            io::ErrorKind::PermissionDenied => format!(
                "a port below 1024 takes the capability CAP_NET_BIND_SERVICE: grant it, or choose another port ({purpose})"
            ),
            // Errors of the resolver are none of the system's.
            _ if reason.raw_os_error().is_none() => {
                "change `server.hostname` to an address of this machine, or to a name of one".to_owned()
            }
            _ => return None,
        })
    }
}
