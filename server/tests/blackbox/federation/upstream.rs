//! A binary cache that does what a test tells it to.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use crate::harness::{Path, random_bytes};

/// What is done with a request.
#[derive(Clone)]
pub enum Act {
    /// A reply with this body, or with its end if that is what was asked for.
    Send(Vec<u8>),
    /// A reply with these header lines and this body.
    Headed(&'static str, Vec<u8>),
    /// A reply that promises this length, with another body; then the connection is closed.
    Promise(usize, Vec<u8>),
    /// A reply of which one byte comes every now and then.
    Drip(Vec<u8>),
    /// A reply in chunks, without a length.
    Chunked(Vec<u8>),
    /// The same, but the connection is closed before the last chunk.
    BrokenChunks(Vec<u8>),
    /// A reply that takes this long to come.
    Late(Duration, Vec<u8>),
    /// A reply with this `Content-Encoding`.
    Encoded(&'static str, Vec<u8>),
    /// What a cache says that is still looking for it.
    NotYet,
    /// A redirect.
    Redirect(String),
    /// A redirect of another kind, with these header lines.
    Moved(u16, String),
    /// An error.
    Status(u16),
    /// Nothing, for as long as the client waits.
    Hang,
}

/// The cache. Whatever it was not told about is not there.
pub struct Upstream {
    address: SocketAddr,
    key: SigningKey,
    acts: Arc<Mutex<HashMap<String, Act>>>,
    requests: Arc<Mutex<Vec<String>>>,
    guard: Arc<Guard>,
}

/// What it wants to see, and what it saw.
#[derive(Default)]
struct Guard {
    wanted: Mutex<Option<String>>,
    seen: Mutex<Vec<String>>,
}

const KEY_NAME: &str = "upstream.test-1";

impl Upstream {
    pub fn start() -> Self {
        Self::at(Ipv4Addr::LOCALHOST)
    }

    /// One at another address of this machine.
    pub fn at(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            key: SigningKey::from_bytes(&random_bytes()),
            acts: Arc::default(),
            requests: Arc::default(),
            guard: Arc::default(),
        };
        let (acts, requests, guard) =
            (upstream.acts.clone(), upstream.requests.clone(), upstream.guard.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (acts, requests, guard) = (acts.clone(), requests.clone(), guard.clone());
                // A client that hangs up is no concern of ours.
                std::thread::spawn(move || serve(stream, &acts, &requests, &guard).ok());
            }
        });
        upstream
    }

    /// From now on answers with 401 whoever does not send this header, such as `authorization: Bearer x`.
    pub fn wants(&self, header: &str) {
        *self.guard.wanted.lock().unwrap() = Some(header.to_owned());
    }

    /// All header lines that it ever got, their names in lower case.
    pub fn headers(&self) -> Vec<String> {
        self.guard.seen.lock().unwrap().clone()
    }

    /// The entry of `upstreams` for it, with its key.
    pub fn entry(&self) -> Value {
        json!(format!("{} {}", self.url(), self.public_key()))
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn public_key(&self) -> String {
        format!("{KEY_NAME}:{}", STANDARD.encode(self.key.verifying_key().to_bytes()))
    }

    /// From now on this is what happens when `target` is asked for.
    pub fn on(&self, target: &str, act: Act) {
        self.acts.lock().unwrap().insert(target.to_owned(), act);
    }

    pub fn on_narinfo(&self, path: &Path, act: Act) {
        self.on(&format!("/{}.narinfo", path.hash), act);
    }

    pub fn on_nar(&self, path: &Path, act: Act) {
        self.on(&format!("/{}", path.file_url()), act);
    }

    /// Has the path, as a good cache does.
    pub fn has(&self, path: &Path) {
        self.on_narinfo(path, Act::Send(self.narinfo(path).into_bytes()));
        self.on_nar(path, Act::Send(path.file.clone()));
    }

    /// The narinfo of the path, signed.
    pub fn narinfo(&self, path: &Path) -> String {
        format!("{}Sig: {KEY_NAME}:{}\n", path.narinfo_text(), path.signed_with(&self.key))
    }

    /// How often `target` was asked for.
    pub fn asked(&self, target: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| *request == target).count()
    }

    /// Everything that was asked for.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    acts: &Mutex<HashMap<String, Act>>,
    requests: &Mutex<Vec<String>>,
    guard: &Guard,
) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut start = 0;
        let wanted = guard.wanted.lock().unwrap().clone();
        let mut is_let_in = wanted.is_none();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if let Some(range) = header.to_lowercase().strip_prefix("range: bytes=") {
                start = range.trim().strip_suffix('-').unwrap().parse().unwrap();
            }
            if header.trim().is_empty() {
                break;
            }
            let (name, value) = header.trim().split_once(':').unwrap();
            let header = format!("{}:{value}", name.to_lowercase());
            let is_wanted = wanted.as_ref() == Some(&header);
            is_let_in |= is_wanted;
            assert!(
                is_wanted || wanted.is_some() || name != "authorization",
                "a token leaves the node: {header}"
            );
            guard.seen.lock().unwrap().push(header);
        }
        let act = acts.lock().unwrap().get(&target).cloned().unwrap_or(Act::Status(404));
        let act = if is_let_in { act } else { Act::Status(401) };
        requests.lock().unwrap().push(target);
        match act {
            Act::Send(body) if start > 0 => {
                let (rest, last, length) = (body.len() - start, body.len() - 1, body.len());
                write!(writer, "HTTP/1.1 206 Partial Content\r\nContent-Length: {rest}\r\n")?;
                write!(writer, "Content-Range: bytes {start}-{last}/{length}\r\n\r\n")?;
                writer.write_all(&body[start..])?;
            }
            Act::Send(body) => {
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
                writer.write_all(&body)?;
            }
            Act::Headed(lines, body) => {
                write!(writer, "HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\n\r\n", body.len())?;
                writer.write_all(&body)?;
            }
            Act::Promise(length, body) => {
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
                return writer.write_all(&body);
            }
            Act::Drip(body) => {
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
                for byte in body {
                    writer.write_all(&[byte])?;
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
            Act::Chunked(body) => write_chunks(&mut writer, &body, true)?,
            Act::BrokenChunks(body) => return write_chunks(&mut writer, &body, false),
            Act::Late(delay, body) => {
                std::thread::sleep(delay);
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
                writer.write_all(&body)?;
            }
            Act::Encoded(encoding, body) => {
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n")?;
                write!(writer, "Content-Length: {}\r\n\r\n", body.len())?;
                writer.write_all(&body)?;
            }
            Act::NotYet => {
                write!(writer, "HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")?;
            }
            Act::Redirect(to) => {
                write!(writer, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")?;
            }
            Act::Moved(status, lines) => {
                write!(writer, "HTTP/1.1 {status} Moved\r\n{lines}Content-Length: 0\r\n\r\n")?;
            }
            Act::Status(status) => write!(writer, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")?,
            Act::Hang => {
                // Until the client hangs up.
                let mut rest = String::new();
                reader.read_line(&mut rest)?;
                return Ok(());
            }
        }
    }
}

fn write_chunks(writer: &mut TcpStream, body: &[u8], is_whole: bool) -> std::io::Result<()> {
    write!(writer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    for chunk in body.chunks(5000) {
        write!(writer, "{:x}\r\n", chunk.len())?;
        writer.write_all(chunk)?;
        writer.write_all(b"\r\n")?;
    }
    if is_whole { writer.write_all(b"0\r\n\r\n") } else { Ok(()) }
}
