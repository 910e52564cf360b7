//! A network between a catalog and its server that can be disturbed.

use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

use super::postgres::{Database, Server};

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// It works.
    Up,
    /// Nothing gets through, and nobody is told.
    Silent,
    /// Connections are cut, and none can be made.
    Down,
    /// Works until a commit is to be sent to the server: its connection is cut instead.
    LosesNextCommit,
    /// Works until a commit was answered by the server: its connection is cut instead.
    LosesNextAnswer,
    /// As `LosesNextAnswer`, and then it is down.
    LosesNextAnswerAndGoesDown,
    /// Works until so many packets have passed, in either direction: the connection of the next one is cut instead.
    LosesPacketAfter(u32),
}

/// Forwards connections from a port of the loopback device to the server's socket.
pub(super) struct Proxy {
    url: String,
    network: watch::Sender<Network>,
    /// How many connections were asked for.
    attempts: watch::Receiver<u32>,
}

impl Proxy {
    pub(super) async fn start(server: &Server, database: &Database) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("postgres://postgres@{address}/{}?sslmode=disable", database.name());
        let network = watch::Sender::new(Network::Up);
        let socket = server.socket_directory().join(".s.PGSQL.5432");
        let (count, attempts) = watch::channel(0);
        tokio::spawn(accept(listener, network.clone(), socket, count));
        Self { url, network, attempts }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    pub(super) fn network(&self) -> Network {
        *self.network.borrow()
    }

    /// Waits until somebody asks for a new connection.
    pub(super) async fn wait_for_attempt(&self) {
        let mut attempts = self.attempts.clone();
        attempts.mark_unchanged();
        attempts.changed().await.unwrap();
    }
}

async fn accept(
    listener: TcpListener,
    network: watch::Sender<Network>,
    socket: PathBuf,
    attempts: watch::Sender<u32>,
) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        attempts.send_modify(|attempts| *attempts += 1);
        if *network.borrow() == Network::Down {
            continue;
        }
        let (socket, network) = (socket.clone(), network.clone());
        tokio::spawn(async move {
            // Where there is no server, the connection is closed.
            if let Ok(server) = UnixStream::connect(socket).await {
                forward(client, server, network).await;
            }
        });
    }
}

async fn forward(client: TcpStream, server: UnixStream, network: watch::Sender<Network>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut down = network.subscribe();
    tokio::select! {
        () = copy(from_client, to_server, &network, &[Network::LosesNextCommit]) => {}
        () = copy(
            from_server,
            to_client,
            &network,
            &[Network::LosesNextAnswer, Network::LosesNextAnswerAndGoesDown],
        ) => {}
        _ = down.wait_for(|network| *network == Network::Down) => {}
    }
}

/// Copies until the end of the stream, or until a commit is to be copied, in either direction, and one of the `traps` is
/// set.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    network: &watch::Sender<Network>,
    traps: &[Network],
) {
    /// The query, and the tag of its answer.
    const COMMIT: &[u8] = b"COMMIT\0";
    let mut heard = network.subscribe();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let data = &buffer[..length];
        if is_lost(network) {
            return;
        }
        let now = *network.borrow();
        if traps.contains(&now) && data.windows(COMMIT.len()).any(|window| window == COMMIT) {
            let down = now == Network::LosesNextAnswerAndGoesDown;
            network.send_replace(if down { Network::Down } else { Network::Up });
            return;
        }
        let through = heard.wait_for(|network| *network != Network::Silent).await.is_ok();
        if !through || to.write_all(data).await.is_err() {
            return;
        }
    }
}

/// Counts a packet. Returns whether it is the one to lose, after which the network works.
fn is_lost(network: &watch::Sender<Network>) -> bool {
    let mut is_lost = false;
    network.send_if_modified(|network| {
        let Network::LosesPacketAfter(left) = network else { return false };
        is_lost = *left == 0;
        *network = if is_lost { Network::Up } else { Network::LosesPacketAfter(*left - 1) };
        true
    });
    is_lost
}
