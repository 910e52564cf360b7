//! `log/DRV`: build logs, as `nix store copy-log` sends and `nix log` reads them.
//!
//! Logs are stored as plain text, whatever encoding they came in, so that any web server can serve the storage.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use nar_storage::{Key, layout};
use nix_formats::Compression;
use tokio::sync::mpsc;
use uuid::Uuid;
use warp::Filter;

use super::{encoding, untracked};
use crate::app::App;
use crate::cache::Cache;
use crate::cache::push::{PushError, decoder};
use crate::http::error::HttpError;
use crate::http::segment::FileName;
use crate::http::{Answer, Route, Site, access, any_of, body, reply, status};

/// Largest log, both as sent and unpacked.
const LOG_LIMIT: u64 = 1 << 30;

pub(super) fn routes(app: &Arc<App>, site: &Site) -> impl Route {
    any_of([get(app.clone(), site.clone()).boxed(), put(app.clone(), site.clone()).boxed()])
}

fn get(app: Arc<App>, site: Site) -> impl Route {
    site.and(warp::path("log"))
        .and(warp::path::param::<FileName>())
        .and(warp::path::end())
        .and(warp::get().or(warp::head()).unify())
        .and(access::authorization())
        .then(move |cache: Arc<Cache>, name: FileName, authorization: Option<String>| {
            let app = app.clone();
            reply(async move {
                let key = layout::log_key(&name.0).ok();
                untracked::send(&app, &cache, authorization.as_deref(), key, "text/plain; charset=utf-8")
                    .await
            })
        })
}

fn put(app: Arc<App>, site: Site) -> impl Route {
    site.and(warp::path("log"))
        .and(warp::path::param::<FileName>())
        .and(warp::path::end())
        .and(warp::put())
        .and(access::authorization())
        .and(encoding::header())
        .and(warp::body::stream())
        .then(
            move |cache: Arc<Cache>,
                  name: FileName,
                  authorization: Option<String>,
                  encoding: Option<String>,
                  stream| {
                let app = app.clone();
                reply(async move {
                    access::write(&app.tokens, &cache, authorization.as_deref())?;
                    let key = layout::log_key(&name.0)
                        .map_err(|_| HttpError::bad_request("this is no name of a build log"))?;
                    let encoding = encoding::compression(encoding.as_deref())?;
                    store(&cache, &key, encoding, body::pieces(stream)).await
                })
            },
        )
}

async fn store(
    cache: &Cache,
    key: &Key,
    encoding: Compression,
    body: impl Stream<Item = Result<Bytes, String>>,
) -> Answer {
    let storage = cache.storages().propose(None)?;
    let spooled = Spooled(storage.storage.spool_dir().join(format!("log-{}", Uuid::new_v4())));
    let size = unpack(body, encoding, spooled.0.clone()).await?;
    cache.storages().store_small_file(key, size, &spooled.0).await?;
    Ok(status(StatusCode::OK))
}

/// Unpacks a body into a file as it arrives and returns the size of that.
async fn unpack(
    body: impl Stream<Item = Result<Bytes, String>>,
    encoding: Compression,
    path: PathBuf,
) -> Result<u64, HttpError> {
    let (sender, receiver) = mpsc::channel(4);
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut reader =
            decoder(ChannelReader { receiver, current: Bytes::new() }, encoding)?.take(LOG_LIMIT + 1);
        let mut file = std::fs::File::create(path)?;
        let unpacked = std::io::copy(&mut reader, &mut file)?;
        file.flush()?;
        Ok::<u64, std::io::Error>(unpacked)
    });
    let mut body = std::pin::pin!(body);
    let mut received = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(HttpError::bad_request)?;
        received += piece.len() as u64;
        if received > LOG_LIMIT || sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    let unpacked = unpacking.await.map_err(|_| PushError::Internal)?;
    match unpacked {
        Ok(size) if size <= LOG_LIMIT && received <= LOG_LIMIT => Ok(size),
        Ok(_) => Err(HttpError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the log is larger than {LOG_LIMIT} bytes"),
        )),
        Err(error) if error.raw_os_error().is_some() => Err(PushError::from(error).into()),
        Err(_) => Err(HttpError::bad_request("the log cannot be unpacked")),
    }
}

/// Reads on a blocking thread what is sent through a channel.
struct ChannelReader {
    receiver: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for ChannelReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(bytes) => self.current = bytes,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

/// A spooled file; removed unless it was moved away.
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
