//! `log/DRV`: build logs, as `nix store copy-log` sends and `nix log` reads them.
//!
//! Logs are stored as plain text, whatever encoding they came in, so that any web server can serve the storage.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::StatusCode;
use nar_storage::{Key, layout};
use nix_formats::Compression;
use tokio::sync::Semaphore;
use uuid::Uuid;
use warp::Filter;

use super::{encoding, turn_of, untracked};
use crate::cache::Cache;
use crate::cache::{PushError, blocking};
use crate::decode::decoder;
use crate::http::error::HttpError;
use crate::http::segment::FileName;
use crate::http::state::State;
use crate::http::{Answer, Route, Site, access, any_of, body, reply, status};
use crate::limits::decoder_memory::DecodersBusy;
use crate::uploads::receive_to_file;

/// Largest log, both as sent and unpacked.
const LOG_LIMIT: u64 = 1 << 30;
/// Logs that are unpacked at once.
static UNPACKING: Semaphore = Semaphore::const_new(2);
/// How long a log waits for its turn to be unpacked.
const TURN: Duration = Duration::from_secs(120);

pub(super) fn routes(state: &Arc<State>, site: &Site) -> impl Route {
    any_of([get(state.clone(), site.clone()).boxed(), put(state.clone(), site.clone()).boxed()])
}

fn get(state: Arc<State>, site: Site) -> impl Route {
    site.and(warp::path("log"))
        .and(warp::path::param::<FileName>())
        .and(warp::path::end())
        .and(warp::get().or(warp::head()).unify())
        .and(access::authorization())
        .then(move |cache: Arc<Cache>, name: FileName, authorization: Option<String>| {
            let state = state.clone();
            reply(async move {
                let key = layout::log_key(&name.0).ok();
                untracked::send(&state, &cache, authorization.as_deref(), key, "text/plain; charset=utf-8")
                    .await
            })
        })
}

fn put(state: Arc<State>, site: Site) -> impl Route {
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
                let state = state.clone();
                reply(async move {
                    access::write(&state.tokens, &cache, authorization.as_deref())?;
                    let key = layout::log_key(&name.0)
                        .map_err(|_| HttpError::bad_request("this is no name of a build log"))?;
                    let encoding = encoding::compression(encoding.as_deref())?;
                    store(&cache, &key, encoding, body::pieces(stream)).await
                })
            },
        )
}

/// Receives a log, unpacks it and stores it. No thread waits for the client: what it sends is spooled as it comes, and
/// unpacked when all of it is there.
async fn store(
    cache: &Cache,
    key: &Key,
    encoding: Compression,
    body: impl Stream<Item = Result<Bytes, String>>,
) -> Answer {
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
    cache.storages().store_small_file(key, size, &log.0).await?;
    Ok(status(StatusCode::OK))
}

/// Unpacks the file `from` into the new file `to` and returns the size of that.
async fn unpack(from: Arc<Spooled>, encoding: Compression, to: Arc<Spooled>) -> Result<u64, HttpError> {
    let slot = turn_of(&UNPACKING, TURN).await?;
    let unpacked = blocking(move || {
        // Kept by the work, which goes on if the client hangs up.
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

/// A spooled file; removed unless it was moved away.
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
