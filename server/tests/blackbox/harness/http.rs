//! A small blocking HTTP/1.1 client with nothing in between: targets, headers and framing go out as the test wrote them
//! and come back as the daemon sent them.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::response::{Incoming, Response};

/// A daemon that says nothing for this long hangs.
const SILENCE: Duration = Duration::from_secs(60);

/// Where requests go: an address, and the name they ask for there.
#[derive(Clone)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub host: String,
}

impl Endpoint {
    pub fn request(&self, method: &str, target: &str) -> Request {
        Request {
            endpoint: self.clone(),
            method: method.to_owned(),
            target: target.to_owned(),
            host: Some(self.host.clone()),
            headers: Vec::new(),
            body: Body::None,
        }
    }

    pub fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    pub fn head(&self, target: &str) -> Request {
        self.request("HEAD", target)
    }

    pub fn post(&self, target: &str) -> Request {
        self.request("POST", target)
    }

    pub fn put(&self, target: &str) -> Request {
        self.request("PUT", target)
    }

    /// The same address, asked for by another name.
    pub fn named(&self, host: &str) -> Endpoint {
        Endpoint { address: self.address, host: host.to_owned() }
    }

    /// A bare connection, for what no client library would send.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// What follows the request head.
#[derive(Clone)]
enum Body {
    /// Nothing, not even a length.
    None,
    /// Bytes with their `Content-Length`.
    Sized(Vec<u8>),
    /// Bytes in chunks of the given size.
    Chunked(Vec<u8>, usize),
}

/// A request under construction.
#[derive(Clone)]
pub struct Request {
    endpoint: Endpoint,
    method: String,
    target: String,
    host: Option<String>,
    headers: Vec<(String, String)>,
    body: Body,
}

impl Request {
    /// Where it goes.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `Bearer TOKEN`; an empty token is what the client sends for "none".
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// What libcurl makes of a netrc entry: the token is the password, the user name is of no account.
    pub fn basic(self, user: &str, token: &str) -> Self {
        let credentials = STANDARD.encode(format!("{user}:{token}"));
        self.header("Authorization", &format!("Basic {credentials}"))
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Sized(body.into());
        self
    }

    pub fn chunked(mut self, body: impl Into<Vec<u8>>, chunk: usize) -> Self {
        self.body = Body::Chunked(body.into(), chunk);
        self
    }

    /// A JSON body, announced the way servant-client does.
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json;charset=utf-8").body(body.to_string())
    }

    /// Sends the request on a connection of its own and reads the whole reply.
    #[track_caller]
    pub fn send(self) -> Response {
        let what = format!("{} {}", self.method, self.target);
        self.try_send().unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// [`Self::send`], for a daemon that may be dying meanwhile.
    pub fn try_send(self) -> io::Result<Response> {
        self.open()?.into_response()
    }

    /// Sends the request and reads no further than the head of the reply.
    pub fn open(self) -> io::Result<Incoming> {
        let stream = self.endpoint.connect()?;
        let writer = stream.try_clone()?;
        let bodyless = self.method == "HEAD";
        // A refusal may arrive while the body is still on its way out, and then nobody reads the rest of the body.
        let sender = std::thread::spawn(move || self.write_to(writer));
        let incoming = Incoming::read(BufReader::new(stream), bodyless);
        match incoming {
            Ok(incoming) => Ok(incoming),
            Err(error) => match sender.join() {
                Ok(Err(cause)) => {
                    Err(io::Error::new(error.kind(), format!("{error} (while sending: {cause})")))
                }
                _ => Err(error),
            },
        }
    }

    /// Sends the request on a connection that is already there and reads the whole reply.
    pub fn send_on(self, connection: &mut BufReader<TcpStream>) -> io::Result<Response> {
        let bodyless = self.method == "HEAD";
        self.write_to(connection.get_ref().try_clone()?)?;
        Incoming::read(connection, bodyless)?.into_response()
    }

    fn write_to(self, mut stream: impl Write) -> io::Result<()> {
        stream.write_all(&self.head())?;
        match self.body {
            Body::None => {}
            Body::Sized(body) => stream.write_all(&body)?,
            Body::Chunked(body, size) => {
                for chunk in body.chunks(size) {
                    write!(stream, "{:x}\r\n", chunk.len())?;
                    stream.write_all(chunk)?;
                    stream.write_all(b"\r\n")?;
                }
                stream.write_all(b"0\r\n\r\n")?;
            }
        }
        stream.flush()
    }

    /// The request line and headers, as they go out.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if let Some(host) = &self.host {
            head += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match &self.body {
            Body::None => {}
            Body::Sized(body) => head += &format!("Content-Length: {}\r\n", body.len()),
            Body::Chunked(..) => head += "Transfer-Encoding: chunked\r\n",
        }
        head += "\r\n";
        head.into_bytes()
    }
}

/// Percent-encodes everything but unreserved characters, as for a path segment or a query value.
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}
