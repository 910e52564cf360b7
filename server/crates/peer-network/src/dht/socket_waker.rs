//! Keeps the DHT's thread awake while somebody waits for it.
//!
//! That thread sleeps in its socket for up to 50 ms at a time, and looks at what it was asked to do only in between. A
//! datagram that means nothing wakes it, so that a lookup takes as long as the network and not a tenth of a second.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Pause between two datagrams.
const PAUSE: Duration = Duration::from_millis(1);

/// Wakes the thread behind a socket for as long as it is wanted.
pub struct Nudge {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: AtomicUsize,
    woken: Notify,
    over: AtomicBool,
}

/// Somebody waits.
pub struct Waiting(Arc<Shared>);

impl Nudge {
    /// For the socket at this address. Without a socket of our own lookups are slow, and that is all.
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
            Err(error) => tracing::warn!(%error, "lookups in the DHT will be slow"),
        }
        Self { shared }
    }

    /// Keeps the thread awake until the result is dropped.
    pub fn wait(&self) -> Waiting {
        if self.shared.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.shared.woken.notify_one();
        }
        Waiting(self.shared.clone())
    }
}

impl Drop for Nudge {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.woken.notify_one();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn run(shared: Arc<Shared>, socket: UdpSocket) {
    while !shared.over.load(Ordering::Relaxed) {
        if shared.waiting.load(Ordering::Relaxed) > 0 {
            // It is only a hint: one that is lost is followed by another.
            let _ = socket.send(&[]);
            tokio::time::sleep(PAUSE).await;
        } else {
            shared.woken.notified().await;
        }
    }
}
