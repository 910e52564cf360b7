//! Reads replies strictly: a body must arrive exactly as its head announced it.

use std::io::{self, BufRead, Read};

use serde_json::Value;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection.
    Close,
    /// There is none: HEAD, 204, 304.
    Bodyless,
}

/// A complete reply.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub framing: Framing,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header that may appear once at most.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "the reply has {name} twice");
        value
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON. Clients refuse JSON that is not declared as such.
    #[track_caller]
    pub fn json(&self) -> Value {
        let kind = self.header("Content-Type").expect("JSON has a content type");
        assert_eq!(kind.split(';').next(), Some("application/json"), "content type of {:?}", self.text());
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert!(
            (200..300).contains(&self.status),
            "{}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    /// A refusal that is the client's fault: 4xx.
    #[track_caller]
    pub fn expect_refusal(self) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert!((400..500).contains(&self.status), "expected 4xx, got {}: {body}", self.status);
        self
    }
}

/// A reply of which only the head has been read.
pub struct Incoming<R = io::BufReader<std::net::TcpStream>> {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub framing: Framing,
    reader: R,
}

impl<R: BufRead> Incoming<R> {
    /// Reads a reply's head; 1xx replies before it are passed over.
    pub fn read(mut reader: R, bodyless: bool) -> io::Result<Self> {
        loop {
            let (status, headers) = read_head(&mut reader)?;
            if status >= 200 {
                let framing = if bodyless || matches!(status, 204 | 304) {
                    Framing::Bodyless
                } else {
                    framing_of(&headers)?
                };
                return Ok(Self { status, headers, framing, reader });
            }
        }
    }

    /// Reads up to `limit` further bytes of a body that was sent with its length, as a slow client would.
    pub fn read_some(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let Framing::Length(left) = &mut self.framing else {
            return Err(broken("the body has no length".to_owned()));
        };
        let mut buffer = vec![0; limit.min(*left as usize)];
        let read = self.reader.read(&mut buffer)?;
        buffer.truncate(read);
        *left -= read as u64;
        Ok(buffer)
    }

    /// Reads the body, or what is left of it.
    pub fn into_response(self) -> io::Result<Response> {
        let Self { status, headers, framing, mut reader } = self;
        let body = read_body(&mut reader, framing)?;
        Ok(Response { status, headers, framing, body })
    }
}

fn read_head(reader: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let status_line = read_line(reader)?;
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| broken(format!("not a status line: {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken(format!("not a header: {line:?}")))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn framing_of(headers: &[(String, String)]) -> io::Result<Framing> {
    let find =
        |name: &str| headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    match (find("content-length"), find("transfer-encoding")) {
        (Some(_), Some(_)) => Err(broken("both a length and a transfer encoding".to_owned())),
        (Some(length), None) => {
            length.parse().map(Framing::Length).map_err(|_| broken(format!("not a length: {length:?}")))
        }
        (None, Some(encoding)) if encoding == "chunked" => Ok(Framing::Chunked),
        (None, Some(encoding)) => Err(broken(format!("unknown transfer encoding {encoding:?}"))),
        (None, None) => Ok(Framing::Close),
    }
}

fn read_body(reader: &mut impl BufRead, framing: Framing) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    match framing {
        Framing::Bodyless => {}
        Framing::Length(length) => {
            reader.take(length).read_to_end(&mut body)?;
            if body.len() as u64 != length {
                return Err(broken(format!("{length} bytes were announced, {} came", body.len())));
            }
        }
        Framing::Close => {
            reader.read_to_end(&mut body)?;
        }
        Framing::Chunked => loop {
            let line = read_line(reader)?;
            let size =
                u64::from_str_radix(&line, 16).map_err(|_| broken(format!("not a chunk size: {line:?}")))?;
            let before = body.len() as u64;
            reader.take(size).read_to_end(&mut body)?;
            if body.len() as u64 - before != size || !read_line(reader)?.is_empty() {
                return Err(broken("a chunk is cut short".to_owned()));
            }
            if size == 0 {
                break;
            }
        },
    }
    Ok(body)
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(broken(format!("the connection ended within {line:?}"))),
    }
}

fn broken(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}
