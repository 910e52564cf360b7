//! A small blocking websocket client (RFC 6455) that can also do what no library would.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::response::Incoming;
use super::{Endpoint, Response, SOON, random_bytes};

/// What came over a websocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// With its code, if it has one.
    Close(Option<u16>),
    /// The connection has ended.
    End,
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// An open websocket. Dropping it drops the connection without a word.
pub struct WebSocket {
    reader: BufReader<TcpStream>,
    /// What has been read of the next frame.
    partial: Vec<u8>,
    /// Whether pings are answered while waiting for something else.
    pub answers_pings: bool,
}

impl WebSocket {
    /// Opens a websocket; the reply if that is refused.
    pub fn open(
        endpoint: &Endpoint,
        target: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Result<Self, Response>> {
        let key = STANDARD.encode(random_bytes::<16>());
        let mut request = endpoint
            .get(target)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Key", &key)
            .header("Sec-WebSocket-Version", "13");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut stream = endpoint.connect()?;
        stream.write_all(&request.head())?;
        let mut head = Vec::new();
        // Byte by byte, so that nothing of the first frame is taken.
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            let reader = BufReader::new(io::Cursor::new(head).chain(stream));
            return Ok(Err(Incoming::read(reader, false)?.into_response()?));
        }
        let text = String::from_utf8(head).unwrap().to_lowercase();
        assert!(text.contains("\r\nupgrade: websocket\r\n"), "{text}");
        assert!(text.contains("\r\nsec-websocket-accept: "), "{text}");
        Ok(Ok(Self { reader: BufReader::new(stream), partial: Vec::new(), answers_pings: true }))
    }

    pub fn send_text(&mut self, text: &str) -> io::Result<()> {
        self.send_frame(TEXT, text.as_bytes())
    }

    pub fn send_json(&mut self, json: &Value) -> io::Result<()> {
        self.send_text(&json.to_string())
    }

    pub fn send_ping(&mut self, payload: &[u8]) -> io::Result<()> {
        self.send_frame(PING, payload)
    }

    pub fn send_close(&mut self, code: u16, reason: &str) -> io::Result<()> {
        self.send_frame(CLOSE, &[&code.to_be_bytes()[..], reason.as_bytes()].concat())
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    fn send_frame(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ ..126 => frame.push(0x80 | length as u8),
            length @ ..65536 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        let mask: [u8; 4] = random_bytes();
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.send_raw(&frame)
    }

    /// The next frame; `None` if none comes in time. What has come of one by then is kept.
    pub fn receive(&mut self, limit: Duration) -> Option<Frame> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some((opcode, payload)) = self.take_frame() {
                return Some(match opcode {
                    TEXT => Frame::Text(String::from_utf8(payload).expect("text is UTF-8")),
                    PING => Frame::Ping(payload),
                    PONG => Frame::Pong(payload),
                    CLOSE => {
                        Frame::Close(payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]])))
                    }
                    opcode => panic!("an unexpected frame: {opcode}"),
                });
            }
            let left = deadline.checked_duration_since(Instant::now())?.max(Duration::from_millis(1));
            self.reader.get_ref().set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; 4096];
            match self.reader.read(&mut buffer) {
                Ok(0) => return Some(Frame::End),
                Ok(read) => self.partial.extend_from_slice(&buffer[..read]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return None;
                }
                Err(_) => return Some(Frame::End),
            }
        }
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [first, second] = *self.partial.get(..2)?.as_array().unwrap();
        assert_eq!(first & 0xf0, 0x80, "frames come whole and without extensions");
        assert_eq!(second & 0x80, 0, "a server masks nothing");
        let (length, start) = match second {
            126 => (u16::from_be_bytes(*self.partial.get(2..4)?.as_array().unwrap()) as usize, 4),
            127 => (u64::from_be_bytes(*self.partial.get(2..10)?.as_array().unwrap()) as usize, 10),
            length => (length as usize, 2),
        };
        let payload = self.partial.get(start..start + length)?.to_vec();
        self.partial.drain(..start + length);
        Some((first & 0x0f, payload))
    }

    /// The next frame that is no ping or pong; `None` if none comes in time.
    pub fn next(&mut self, limit: Duration) -> Option<Frame> {
        let deadline = Instant::now() + limit;
        loop {
            match self.receive(deadline.saturating_duration_since(Instant::now()))? {
                Frame::Ping(payload) if self.answers_pings => {
                    // It may be gone by now, which the next read tells.
                    self.send_frame(PONG, &payload).ok();
                }
                Frame::Ping(_) | Frame::Pong(_) => {}
                frame => return Some(frame),
            }
        }
    }

    /// The next message, as JSON.
    #[track_caller]
    pub fn expect_json(&mut self) -> Value {
        match self.next(SOON) {
            Some(Frame::Text(text)) => serde_json::from_str(&text).expect("messages are JSON"),
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// Waits for a pong.
    #[track_caller]
    pub fn expect_pong(&mut self, payload: &[u8]) {
        loop {
            match self.receive(SOON) {
                Some(Frame::Pong(got)) if got == payload => return,
                Some(Frame::Text(_) | Frame::Ping(_) | Frame::Pong(_)) => {}
                other => panic!("expected a pong, got {other:?}"),
            }
        }
    }

    /// Waits until the other side closes, passes over messages, and returns the code.
    #[track_caller]
    pub fn expect_close(&mut self) -> Option<u16> {
        loop {
            match self.next(SOON) {
                Some(Frame::Text(_)) => {}
                Some(Frame::Close(code)) => return code,
                other => panic!("expected a close, got {other:?}"),
            }
        }
    }

    /// Says goodbye as clients do, and waits for the answer.
    #[track_caller]
    pub fn close(mut self) {
        self.send_close(1000, "Closing.").unwrap();
        assert_eq!(self.expect_close(), Some(1000));
    }
}
