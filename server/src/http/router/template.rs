//! Heads of replies as bytes, made once from the replies that the routes give.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use catalog::UnixTime;
use http::header::{CONTENT_LENGTH, ETAG};
use warp::reply::Response;

use crate::listeners::edge;
use crate::listeners::shortcut::Output;

/// The head of a reply, but for what differs from one reply to the next.
pub struct Template(Vec<Piece>);

enum Piece {
    Text(Vec<u8>),
    Etag,
    Length,
    Date,
}

impl Template {
    /// Makes the template of a reply like `sample`, as the parser would write it. The values of `ETag` and `Content-Length` are left
    /// open.
    pub fn of(mut sample: Response) -> Self {
        edge::protect(&mut sample);
        let mut template = Self(Vec::new());
        template.text(format!("HTTP/1.1 {}\r\n", sample.status()).as_bytes());
        for (name, value) in sample.headers() {
            template.text(format!("{name}: ").as_bytes());
            match *name {
                ETAG => template.0.push(Piece::Etag),
                CONTENT_LENGTH => template.0.push(Piece::Length),
                _ => template.text(value.as_bytes()),
            }
            template.text(b"\r\n");
        }
        if !sample.headers().contains_key(CONTENT_LENGTH) {
            template.text(b"content-length: ");
            template.0.push(Piece::Length);
            template.text(b"\r\n");
        }
        template.text(b"date: ");
        template.0.push(Piece::Date);
        template.text(b"\r\n\r\n");
        template
    }

    fn text(&mut self, text: &[u8]) {
        match self.0.last_mut() {
            Some(Piece::Text(before)) => before.extend_from_slice(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }

    /// Writes the head of a reply of `length` bytes at `now`. `etag` is quoted.
    pub fn write(&self, output: &mut Output, etag: &[u8], length: u64, now: UnixTime) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => output.push(text),
                Piece::Etag => output.push(etag),
                Piece::Length => output.push(itoa::Buffer::new().format(length).as_bytes()),
                Piece::Date => push_date(output, now),
            }
        }
    }
}

thread_local! {
    /// The last second in which a reply was written, as it stands in its head.
    static DATE: RefCell<(UnixTime, String)> = const { RefCell::new((UnixTime(i64::MIN), String::new())) };
}

fn push_date(output: &mut Output, now: UnixTime) {
    DATE.with_borrow_mut(|(second, text)| {
        if *second != now {
            let since = Duration::from_secs(u64::try_from(now.0).unwrap_or(0));
            (*second, *text) = (now, httpdate::fmt_http_date(UNIX_EPOCH + since));
        }
        output.push(text.as_bytes());
    });
}
