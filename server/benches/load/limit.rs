//! The least that a server over epoll can do: receive, look for the end of the head, send 700 bytes. It knows nothing of HTTP beyond that.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::support::{Result, option, ports};

/// Bytes of a reply.
const REPLY: usize = 700;
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 660\r\n\r\n";
/// How long it may take to answer.
const START: Duration = Duration::from_secs(10);
const LISTENER: Token = Token(usize::MAX);

/// The running program, ended when dropped.
pub struct Limit {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Limit {
    /// Starts this program once more, as the server.
    pub fn start() -> Result<Self> {
        let [address] = ports::free()?;
        let program = std::env::current_exe()?;
        let child = Command::new(program)
            .args(["--limit-server", &address.to_string()])
            .stdin(Stdio::null())
            .spawn()?;
        let limit = Self { child, address };
        let deadline = Instant::now() + START;
        while std::net::TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                return Err("the limit program does not start".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(limit)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the server if this program was started as one; then it does not return.
pub fn serve_if_asked() -> Result<()> {
    let Some(address) = option("--limit-server") else { return Ok(()) };
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let loops: Vec<_> = (0..threads)
            .map(|_| {
                let listener = listener.try_clone();
                scope.spawn(move || serve(listener?))
            })
            .collect();
        loops.into_iter().try_for_each(|thread| thread.join().map_err(|_| "the limit program panicked")?)
    })
}

fn serve(listener: StdListener) -> Result<()> {
    let mut listener = TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(256);
    let mut connections: Vec<TcpStream> = Vec::new();
    let mut head = [0; 4096];
    let reply = format!("{HEAD:x<REPLY$}");
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let token = Token(connections.len());
                    poll.registry().register(&mut stream, token, Interest::READABLE)?;
                    connections.push(stream);
                }
                continue;
            }
            let stream = &mut connections[event.token().0];
            match stream.read(&mut head) {
                Ok(0) => poll.registry().deregister(stream)?,
                Ok(length) if head[..length].ends_with(b"\r\n\r\n") => stream.write_all(reply.as_bytes())?,
                Ok(_) => return Err("a request came in pieces".into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => poll.registry().deregister(stream)?,
            }
        }
    }
}
