//! A blocking HTTP/1.1 client that keeps its connection and copies no body, so that on a machine shared with the server
//! most of the time is the server's.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::Result;

/// A server that says nothing for this long hangs.
const SILENCE: Duration = Duration::from_secs(120);
/// A body up to this size is sent together with the head of its request.
const SMALL: usize = 64 << 10;

/// A connection that takes one request after the other.
pub struct Connection<S = TcpStream> {
    stream: BufReader<S>,
    host: String,
    /// What is unread of the last reply.
    unread: u64,
}

/// The head of a reply.
#[derive(Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Length of the body in bytes.
    pub length: u64,
    /// The entity tag, quotes included.
    pub etag: Option<String>,
}

impl Connection {
    /// Connects over TCP.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_string(), unread: 0 })
    }
}

impl Connection<UnixStream> {
    /// Connects to a Unix socket.
    pub fn open_unix(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Self { stream: BufReader::new(stream), host: "localhost".to_owned(), unread: 0 })
    }
}

impl<S: Read + Write> Connection<S> {
    /// Sends a request and reads the head of its reply. `headers` are whole lines.
    pub fn send(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> Result<Head> {
        if self.unread > 0 {
            return Err("the last reply was not read to its end".into());
        }
        let host = &self.host;
        let length = body.len();
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}").into_bytes();
        if method != "GET" {
            write!(head, "Content-Length: {length}\r\n")?;
        }
        head.extend_from_slice(b"\r\n");
        let stream = self.stream.get_mut();
        if length <= SMALL {
            head.extend_from_slice(body);
            stream.write_all(&head)?;
        } else {
            stream.write_all(&head)?;
            stream.write_all(body)?;
        }
        let head = self.read_head()?;
        self.unread = head.length;
        Ok(head)
    }

    /// Sends a request and reads the whole reply, which has to be a success.
    pub fn call(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<(Head, Vec<u8>)> {
        let head = self.send(method, target, headers, body)?;
        let mut reply = Vec::new();
        (&mut *self).take(head.length).read_to_end(&mut reply)?;
        if !(200..300).contains(&head.status) {
            let text = String::from_utf8_lossy(&reply);
            return Err(format!("{method} {target}: {} {}", head.status, text.trim_end()).into());
        }
        Ok((head, reply))
    }

    /// The body of what `GET` answers.
    pub fn get(&mut self, target: &str) -> Result<Vec<u8>> {
        Ok(self.call("GET", target, "", b"")?.1)
    }

    fn read_head(&mut self) -> Result<Head> {
        let line = self.read_line()?;
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
        let status = status.parse().map_err(|_| format!("not a status line: {line:?}"))?;
        let mut head = Head { status, length: 0, etag: None };
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(head);
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            if name.eq_ignore_ascii_case("content-length") {
                head.length = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err("a reply without a length".into());
            } else if name.eq_ignore_ascii_case("etag") {
                head.etag = Some(value.trim().to_owned());
            }
        }
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err("the connection ended within the head of a reply".into()),
        }
    }
}

/// The body of the last reply. Fails where it ends before its announced length.
impl<S: Read> Read for Connection<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.unread).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.stream.read(&mut buffer[..wanted])?;
        if read == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unread -= read as u64;
        Ok(read)
    }
}
