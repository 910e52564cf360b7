//! Keeps the thread of the DHT awake while a caller waits for it.
//!
//! That thread blocks on its socket for up to 50 ms and handles requests only in between. An empty datagram wakes it, so that a
//! lookup takes as long as the network and not a tenth of a second.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// The pause between two datagrams.
const PAUSE: Duration = Duration::from_millis(1);

/// Wakes the thread behind a socket while callers wait.
pub struct SocketWaker {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: AtomicUsize,
    woken: Notify,
    over: AtomicBool,
}

/// Keeps the thread awake until it is dropped.
pub struct WakeGuard(Arc<Shared>);

impl SocketWaker {
    /// Starts a waker for the socket at this address. If it cannot bind a socket, lookups are slow but work.
    pub fn start(address: SocketAddrV4) -> Self {
        let shared = Arc::new(Shared::default());
        let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST } else { *address.ip() };
        let socket = UdpSocket::bind((ip, 0)).and_then(|socket| {
            socket.connect((ip, address.port()))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        match socket {
            Ok(socket) => {
                tokio::spawn(run(shared.clone(), socket));
            }
            Err(error) => tracing::warn!(%error, "cannot wake the DHT: its lookups will be slow"),
        }
        Self { shared }
    }

    /// Returns a guard that keeps the thread awake.
    pub fn wait(&self) -> WakeGuard {
        if self.shared.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.shared.woken.notify_one();
        }
        WakeGuard(self.shared.clone())
    }
}

impl Drop for SocketWaker {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.woken.notify_one();
    }
}

impl Drop for WakeGuard {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn run(shared: Arc<Shared>, socket: UdpSocket) {
    while !shared.over.load(Ordering::Relaxed) {
        if shared.waiting.load(Ordering::Relaxed) > 0 {
            // A lost datagram is followed by another.
            let _ = socket.send(&[]);
            tokio::time::sleep(PAUSE).await;
        } else {
            shared.woken.notified().await;
        }
    }
}
