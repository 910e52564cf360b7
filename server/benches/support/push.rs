//! The client's side of a push, with its connections kept open.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix_formats::Compression;
use serde_json::{Value, json};

use super::Result;
use super::client::Connection;
use super::daemon::{CACHE, Daemon};
use super::sample::Sample;

/// Parts of one path that the client sends at a time.
const PARTS_AT_ONCE: usize = 4;

/// Pushes to the daemon's cache, one path at a time.
pub struct Pusher {
    connection: Connection,
    address: SocketAddr,
    authorization: String,
}

impl Pusher {
    /// A pusher with a connection of its own.
    pub fn new(daemon: &Daemon) -> Result<Self> {
        Ok(Self {
            connection: Connection::open(daemon.api)?,
            address: daemon.api,
            authorization: format!("Authorization: Bearer {}\r\n", daemon.token),
        })
    }

    /// Pushes a path, with the requests that the real client makes.
    pub fn push(&mut self, sample: &Sample) -> Result<()> {
        let compression = if sample.compression == Compression::Xz { "xz" } else { "zst" };
        let created = self.post(&format!("?compression={compression}"), b"")?;
        let upload = Upload { nar_id: text(&created, "narId")?, upload_id: text(&created, "uploadId")? };
        let etags = self.send_parts(&upload, sample)?;
        let parts: Vec<_> =
            etags.iter().zip(1..).map(|(etag, number)| json!({"partNumber": number, "eTag": etag})).collect();
        let body = json!({"parts": parts, "narInfoCreate": sample.nar_info_create()});
        let target = format!("/{}/complete?uploadId={}", upload.nar_id, upload.upload_id);
        self.post(&target, body.to_string().as_bytes())?;
        Ok(())
    }

    fn send_parts(&mut self, upload: &Upload, sample: &Sample) -> Result<Vec<String>> {
        if sample.parts.len() == 1 {
            return Ok(vec![self.send_part(upload, sample, 0)?]);
        }
        let next = AtomicUsize::new(0);
        let etags = Mutex::new(vec![String::new(); sample.parts.len()]);
        let send = |mut pusher: Pusher| -> Result<()> {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= sample.parts.len() {
                    return Ok(());
                }
                let etag = pusher.send_part(upload, sample, index)?;
                etags.lock().map_err(|_| "another part failed")?[index] = etag;
            }
        };
        std::thread::scope(|scope| {
            let senders: Vec<_> = (0..PARTS_AT_ONCE.min(sample.parts.len()))
                .map(|_| {
                    Ok(scope.spawn({
                        let (send, pusher) = (&send, self.again()?);
                        move || send(pusher)
                    }))
                })
                .collect::<Result<_>>()?;
            senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| "a sender panicked")?)
        })?;
        Ok(etags.into_inner().map_err(|_| "a part failed")?)
    }

    fn send_part(&mut self, upload: &Upload, sample: &Sample, index: usize) -> Result<String> {
        let bytes = sample.read_part(index)?;
        let md5 = STANDARD.encode(sample.parts[index]);
        let target = format!("/{}?uploadId={}&partNumber={}", upload.nar_id, upload.upload_id, index + 1);
        let url = text(&self.post(&target, json!({"contentMD5": md5}).to_string().as_bytes())?, "uploadUrl")?;
        let (_, target) = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).ok_or("no URL")?;
        let headers = format!("Content-Type: application/octet-stream\r\nContent-MD5: {md5}\r\n");
        let (head, _) = self.connection.call("PUT", &format!("/{target}"), &headers, &bytes)?;
        head.etag.ok_or_else(|| "a part without an ETag".into())
    }

    fn post(&mut self, rest: &str, body: &[u8]) -> Result<Value> {
        let target = format!("/api/v1/cache/{CACHE}/multipart-nar{rest}");
        let headers = format!("{}Content-Type: application/json\r\n", self.authorization);
        let (_, reply) = self.connection.call("POST", &target, &headers, body)?;
        Ok(if reply.is_empty() { Value::Null } else { serde_json::from_slice(&reply)? })
    }

    /// Another connection to the same cache.
    fn again(&self) -> Result<Self> {
        let connection = Connection::open(self.address)?;
        Ok(Self { connection, address: self.address, authorization: self.authorization.clone() })
    }
}

/// Pushes all samples over `connections` connections at once.
pub fn push_all(daemon: &Daemon, samples: &[Sample], connections: usize) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut pusher = Pusher::new(daemon)?;
        while let Some(sample) = samples.get(next.fetch_add(1, Ordering::Relaxed)) {
            pusher.push(sample)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a pusher panicked")?)
    })
}

struct Upload {
    nar_id: String,
    upload_id: String,
}

fn text(reply: &Value, key: &str) -> Result<String> {
    Ok(reply[key].as_str().ok_or_else(|| format!("no {key} in {reply}"))?.to_owned())
}
