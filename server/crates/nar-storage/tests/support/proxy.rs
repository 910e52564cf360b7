//! A network that fails on demand: a TCP proxy on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// What goes wrong with connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing listens.
    Refuse,
    /// Connections are taken and nothing comes of them.
    Stall,
    /// Connections end after that many bytes from the server.
    CutAfter(u64),
    /// Connections stand still after that many bytes from the server.
    StallAfter(u64),
    /// Connections stand still after the head of an answer.
    StallAfterHead,
    /// Connections end after that many bytes from the client.
    CutUploadAfter(u64),
    /// Connections stand still after that many bytes from the client.
    StallUploadAfter(u64),
    /// Whatever comes from the server comes that much later.
    Delay(Duration),
    /// That many requests get this in return, byte for byte, instead of reaching the server.
    Answer(u32, String),
}

impl Fault {
    /// As many requests as come are answered with this status and body.
    pub fn answer(status: u16, body: &str) -> Self {
        Self::answer_some(u32::MAX, status, body)
    }

    /// The next `times` requests are answered with this status and body.
    pub fn answer_some(times: u32, status: u16, body: &str) -> Self {
        let len = body.len();
        Self::Answer(
            times,
            format!("HTTP/1.1 {status} Status\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"),
        )
    }
}

/// Passes connections on to a server but for the fault it is set to.
pub struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Setting>,
    applied: watch::Receiver<u64>,
    answered: Arc<AtomicU32>,
    at_limit: Arc<AtomicU32>,
    listener: JoinHandle<()>,
}

/// A fault, and how many there were before it.
#[derive(Debug, Default, Clone)]
struct Setting {
    fault: Option<Fault>,
    number: u64,
}

impl Proxy {
    /// In front of the server at `upstream`. Works until told otherwise.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fault, settings) = watch::channel(Setting::default());
        let (apply, applied) = watch::channel(0);
        let answered = Arc::new(AtomicU32::new(0));
        let at_limit = Arc::new(AtomicU32::new(0));
        let relay = Relay { upstream, settings, answered: answered.clone(), at_limit: at_limit.clone() };
        let listener = tokio::spawn(listen(listener, address, relay, apply));
        Self { address, fault, applied, answered, at_limit, listener }
    }

    /// Base URL of the server, as seen through the proxy.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Fails in this way from now on, or no more. Connections that are open are closed.
    pub async fn set(&self, fault: impl Into<Option<Fault>>) {
        self.answered.store(0, Ordering::Relaxed);
        self.at_limit.store(0, Ordering::Relaxed);
        let mut number = 0;
        self.fault.send_modify(|setting| {
            setting.fault = fault.into();
            setting.number += 1;
            number = setting.number;
        });
        self.applied.clone().wait_for(|applied| *applied >= number).await.unwrap();
    }

    /// Requests that were answered instead of being passed on since the fault was set.
    pub fn answered(&self) -> u32 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Connections that were cut or stopped after so many bytes since the fault was set.
    pub fn at_limit(&self) -> u32 {
        self.at_limit.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

#[derive(Clone)]
struct Relay {
    upstream: SocketAddr,
    settings: watch::Receiver<Setting>,
    answered: Arc<AtomicU32>,
    at_limit: Arc<AtomicU32>,
}

async fn listen(listener: TcpListener, address: SocketAddr, mut relay: Relay, applied: watch::Sender<u64>) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let mut served = 0;
    loop {
        let Setting { fault, number } = relay.settings.borrow_and_update().clone();
        // Whatever woke us: a setting that is seen is not announced again.
        if number != served {
            connections.shutdown().await;
            served = number;
        }
        let refuse = fault == Some(Fault::Refuse);
        match &listener {
            Some(_) if refuse => listener = None,
            None if !refuse => listener = Some(TcpListener::bind(address).await.unwrap()),
            _ => {}
        }
        applied.send_replace(number);
        tokio::select! {
            changed = relay.settings.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            accepted = accept(listener.as_ref()) => {
                if let Ok(client) = accepted {
                    let relay = relay.clone();
                    connections.spawn(async move { relay.serve(client).await });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(client, _)| client),
        None => std::future::pending().await,
    }
}

impl Relay {
    async fn serve(self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let fault = self.settings.borrow().fault.clone();
        if let Some(Fault::Answer(times, answer)) = &fault {
            let before = self.answered.fetch_add(1, Ordering::Relaxed);
            if before < *times {
                return reply(client, answer).await;
            }
            self.answered.fetch_sub(1, Ordering::Relaxed);
        }
        if fault == Some(Fault::Stall) {
            return std::future::pending().await;
        }
        let server = TcpStream::connect(self.upstream).await?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        match fault {
            Some(Fault::Delay(delay)) => {
                return tokio::select! {
                    done = self.pass(from_client, to_server, None) => done,
                    done = pass_late(from_server, to_client, delay) => done,
                };
            }
            Some(Fault::StallAfterHead) => {
                return tokio::select! {
                    done = self.pass(from_client, to_server, None) => done,
                    done = pass_head(from_server, to_client) => done,
                };
            }
            _ => {}
        }
        let (up, down) = match fault {
            Some(Fault::CutUploadAfter(bytes)) => (Some((bytes, true)), None),
            Some(Fault::StallUploadAfter(bytes)) => (Some((bytes, false)), None),
            Some(Fault::CutAfter(bytes)) => (None, Some((bytes, true))),
            Some(Fault::StallAfter(bytes)) => (None, Some((bytes, false))),
            _ => (None, None),
        };
        // Whichever direction ends first ends both.
        tokio::select! {
            done = self.pass(from_client, to_server, up) => done,
            done = self.pass(from_server, to_client, down) => done,
        }
    }

    /// Copies everything, or that many bytes, after which it ends (true) or stands still (false).
    async fn pass(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        limit: Option<(u64, bool)>,
    ) -> io::Result<()> {
        let Some((bytes, cut)) = limit else {
            tokio::io::copy(&mut from, &mut to).await?;
            return Ok(());
        };
        let copied = tokio::io::copy(&mut (&mut from).take(bytes), &mut to).await?;
        to.flush().await?;
        if copied < bytes {
            return Ok(());
        }
        self.at_limit.fetch_add(1, Ordering::Relaxed);
        if cut { Ok(()) } else { std::future::pending().await }
    }
}

/// Copies everything, and waits before each piece.
async fn pass_late(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
) -> io::Result<()> {
    let mut piece = Vec::with_capacity(64 << 10);
    while from.read_buf(&mut piece).await? > 0 {
        tokio::time::sleep(delay).await;
        to.write_all(&piece).await?;
        piece.clear();
    }
    Ok(())
}

/// Copies the head of an answer and stands still.
async fn pass_head(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let head = read_head(&mut from).await?;
    to.write_all(&head).await?;
    std::future::pending().await
}

/// Reads up to the end of a head. What has been read beyond is lost, and where there is none it is cut short.
async fn read_head(mut from: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    const END: &[u8] = b"\r\n\r\n";
    let mut head = Vec::new();
    loop {
        if let Some(end) = head.windows(END.len()).position(|window| window == END) {
            head.truncate(end + END.len());
            return Ok(head);
        }
        if from.read_buf(&mut head).await? == 0 {
            return Ok(head);
        }
    }
}

/// Takes the head of a request, answers, and lets the client see that before the connection ends.
async fn reply(mut client: TcpStream, answer: &str) -> io::Result<()> {
    if read_head(&mut client).await?.is_empty() {
        return Ok(());
    }
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    // Closing with bytes unread would reset the connection and lose the answer.
    let mut nowhere = tokio::io::sink();
    let drain = tokio::io::copy(&mut client, &mut nowhere);
    let _ = timeout(Duration::from_secs(10), drain).await;
    Ok(())
}
