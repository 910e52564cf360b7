//! What systemd and the daemon tell each other: readiness, the watchdog, and sockets handed over at start.
//!
//! Everything here does nothing when the daemon was not started by systemd.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::chain::chain;

/// Sockets inherited through `LISTEN_FDS`, waiting to be claimed by the listener they belong to.
#[derive(Default)]
pub struct InheritedSockets {
    tcp: Vec<TcpListener>,
    unix: Vec<UnixListener>,
}

impl InheritedSockets {
    /// Takes over what systemd passed to this process; empty when nothing was passed.
    pub fn from_env() -> Self {
        let mut inherited = Self::default();
        let mut fds = ListenFd::from_env();
        for index in 0..fds.len() {
            if let Ok(Some(listener)) = fds.take_tcp_listener(index) {
                inherited.tcp.push(listener);
            } else if let Ok(Some(listener)) = fds.take_unix_listener(index) {
                inherited.unix.push(listener);
            } else {
                tracing::warn!(index, "ignored an inherited descriptor that is no listening socket");
            }
        }
        inherited
    }

    /// Whether systemd passed a TCP socket that nothing has claimed yet.
    pub fn has_tcp(&self) -> bool {
        !self.tcp.is_empty()
    }

    /// The inherited TCP sockets that listen on `port`.
    pub fn take_tcp(&mut self, port: u16) -> Vec<TcpListener> {
        let is_here =
            |listener: &mut TcpListener| listener.local_addr().is_ok_and(|address| address.port() == port);
        self.tcp.extract_if(.., is_here).collect()
    }

    /// The inherited Unix socket; only the admin socket is one.
    pub fn take_unix(&mut self) -> Option<UnixListener> {
        self.unix.pop()
    }

    /// Addresses of the sockets that nothing in the configuration claimed.
    pub fn unclaimed(&self) -> Vec<String> {
        let tcp = self
            .tcp
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .map(|address| address.to_string());
        let unix = self.unix.iter().map(|_| "a unix socket".to_owned());
        tcp.chain(unix).collect()
    }
}

/// Tells systemd that every listener accepts connections.
pub fn notify_ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells systemd what to show of a daemon that is ready.
pub fn notify_status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// Tells systemd that the configuration is being read again; [`notify_ready`] ends that.
pub fn notify_reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// Tells systemd that the daemon drains and will exit.
pub fn notify_stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %chain(&error), "could not notify systemd");
    }
}

/// Pats the watchdog at half its interval for as long as the async runtime turns; returns at once when there is none.
pub async fn run_watchdog() {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval((interval / 2).max(Duration::from_millis(10)));
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}
