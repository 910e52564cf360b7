//! `log/DRV`: build logs, which `nix store copy-log` sends and `nix log` reads.
//!
//! Logs are stored as plain text in spite of their `Content-Encoding`, so that any web server can serve the storage.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use nar_storage::layout;
use nix_formats::Compression;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{encoding, turn_of, untracked};
use crate::cache::Cache;
use crate::cache::{PushError, blocking};
use crate::decode::decoder;
use crate::http::body::Body;
use crate::http::error::HttpError;
use crate::http::router::{FileName, Read, Request, Write};
use crate::http::{Answer, status};
use crate::limits::decoder_memory::DecodersBusy;
use crate::uploads::receive_to_file;

/// Largest log, both as sent and unpacked.
const LOG_LIMIT: u64 = 1 << 30;
/// Logs that are unpacked at once.
static UNPACKING: Semaphore = Semaphore::const_new(2);
/// How long a log may wait for its turn to be unpacked.
const TURN: Duration = Duration::from_secs(120);

/// `GET log/DRV`.
pub async fn get(request: Request<Read, FileName>) -> Answer {
    let key = layout::log_key(&request.path.0).ok();
    untracked::send(&request.cache, key, "text/plain; charset=utf-8").await
}

/// `PUT log/DRV`.
pub async fn put(request: Request<Write, FileName>) -> Answer {
    let Request { state, cache, grant, path: name, head, body } = request;
    let key = layout::log_key(&name.0)
        .map_err(|_| HttpError::bad_request("this cannot be the name of a build log"))?;
    let log = receive(&cache, encoding::of_body(&head)?, body).await?;
    if let Some(there) = cache.storages().open_small(&key).await {
        if untracked::is_same_file(there, &log.file.0).await {
            return Ok(status(StatusCode::OK));
        }
        untracked::permit_replacing(&state, &cache, grant)?;
    }
    cache.storages().store_small_file(&key, log.size, &log.file.0).await?;
    Ok(status(StatusCode::OK))
}

/// A log as it will be stored.
struct Log {
    file: Arc<Spooled>,
    size: u64,
}

/// Receives a log and unpacks it. No thread waits for the client: the log is spooled as it arrives, and unpacked when it is
/// complete.
async fn receive(cache: &Cache, encoding: Compression, body: Body) -> Result<Log, HttpError> {
    let storage = cache.storages().propose(None)?;
    let directory = storage.storage.spool_dir();
    let new_file = || Arc::new(Spooled(directory.join(format!("log-{}", Uuid::new_v4()))));
    let mut log = new_file();
    let mut size = receive_to_file(body, log.0.clone(), LOG_LIMIT).await?;
    if encoding != Compression::None {
        let unpacked = new_file();
        size = unpack(log, encoding, unpacked.clone()).await?;
        log = unpacked;
    }
    Ok(Log { file: log, size })
}

/// Unpacks the file `from` into the new file `to` and returns the new size.
async fn unpack(from: Arc<Spooled>, encoding: Compression, to: Arc<Spooled>) -> Result<u64, HttpError> {
    let slot = turn_of(&UNPACKING, TURN).await?;
    let unpacked = blocking(move || {
        // Held by the work itself, which continues if the client disconnects.
        let _slot = slot;
        let mut reader = decoder(File::open(&from.0)?, encoding)?.take(LOG_LIMIT + 1);
        let mut file = File::create_new(&to.0)?;
        std::io::copy(&mut reader, &mut file)
    })
    .await?;
    match unpacked {
        Ok(size) if size <= LOG_LIMIT => Ok(size),
        Ok(_) => Err(HttpError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the log is larger than {LOG_LIMIT} bytes"),
        )),
        Err(error) if DecodersBusy::is_cause_of(&error) => Err(PushError::Busy(DecodersBusy).into()),
        Err(error) if error.raw_os_error().is_some() => Err(PushError::from(error).into()),
        Err(error) => Err(HttpError::bad_request(format!("the log cannot be unpacked: {error}"))),
    }
}

/// A spooled file. It is removed on drop unless it was moved away.
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
