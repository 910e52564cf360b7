//! `serve/HASH/path`: a single file out of a NAR.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use nar_storage::layout;
use nix_formats::StorePathHash;
use nix_formats::nar::{Found, find_file};
use percent_encoding::percent_decode_str;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use warp::Filter;
use warp::path::Tail;
use warp::reply::{Reply, Response};

use crate::app::App;
use crate::cache::Cache;
use crate::cache::publish::nar_file_name;
use crate::cache::push::decoder;
use crate::http::error::HttpError;
use crate::http::{Answer, Route, Site, access, reply};

/// Bytes sent at once.
const PIECE: usize = 64 << 10;
/// Pieces that wait for a slow reader.
const PIECES_AHEAD: usize = 4;

pub(super) fn routes(app: &Arc<App>, site: &Site) -> impl Route {
    let app = app.clone();
    site.clone()
        .and(warp::path("serve"))
        .and(warp::path::param::<StorePathHash>())
        .and(warp::path::tail())
        .and(warp::get().or(warp::head()).unify())
        .and(access::authorization())
        .then(move |cache: Arc<Cache>, hash: StorePathHash, path: Tail, authorization: Option<String>| {
            let app = app.clone();
            reply(async move { get(&app, &cache, &hash, path.as_str(), authorization.as_deref()).await })
        })
}

async fn get(
    app: &App,
    cache: &Arc<Cache>,
    hash: &StorePathHash,
    path: &str,
    authorization: Option<&str>,
) -> Answer {
    access::read(app, cache, authorization)?;
    // Names in a NAR are bytes, and need not be UTF-8.
    let path = path
        .split('/')
        .filter(|component| !component.is_empty())
        .map(|component| percent_decode_str(component).collect())
        .collect();
    let record = cache.find_path(&app.catalog, hash).await?.ok_or_else(HttpError::not_found)?;
    let storage = cache.storage(record.nar.storage).ok_or_else(HttpError::not_found)?;
    if !storage.can_be_read().await {
        return Err(HttpError::not_found());
    }
    let backend = storage.storage.clone();
    let key = layout::nar_key(&nar_file_name(&record));
    let compression = record.nar.compression;
    // Unpacking takes a thread and a core for as long as it lasts.
    let slot = app.unpacking.clone().try_acquire_owned().map_err(|_| {
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "too many files are being unpacked; try again later")
    })?;
    let open = move || {
        let reader = backend.open_blocking(&key).map_err(io::Error::other)?;
        decoder(reader, compression)
    };
    let (size, pieces) = extract(open, path, slot).await?;
    let body = stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
    let mut response = warp::reply::stream(body).into_response();
    describe(&mut response, size, cache.is_public());
    Ok(response)
}

fn describe(response: &mut Response, size: u64, public: bool) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    // A stored page must never run as one of ours.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let caching =
        if public { "public, max-age=31536000, immutable" } else { "private, max-age=31536000, immutable" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
}

type Pieces = mpsc::Receiver<io::Result<Bytes>>;

/// Finds the file on a blocking thread and starts to unpack it. Returns its size and its bytes.
async fn extract(
    open: impl FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 'static,
    path: Vec<Vec<u8>>,
    slot: OwnedSemaphorePermit,
) -> Result<(u64, Pieces), HttpError> {
    let (found, answer) = oneshot::channel();
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let _slot = slot;
        let nar = match open() {
            Ok(nar) => BufReader::with_capacity(PIECE, nar),
            Err(error) => return drop(found.send(Err(HttpError::internal(&error)))),
        };
        let (size, file) = match find_file(nar, &path) {
            Ok(Found::File { size, reader, .. }) => (size, reader),
            Ok(other) => return drop(found.send(Err(no_file(&other)))),
            Err(error) => return drop(found.send(Err(HttpError::internal(&error)))),
        };
        if found.send(Ok(size)).is_ok() {
            pump(file, &sender);
        }
    });
    let size = answer.await.map_err(|error| HttpError::internal(&error))??;
    Ok((size, pieces))
}

fn no_file<R>(found: &Found<R>) -> HttpError {
    let reason = match found {
        Found::Directory => "this is a directory".to_owned(),
        Found::Symlink { target } => {
            format!("this is a symbolic link to {}", String::from_utf8_lossy(target))
        }
        Found::File { .. } | Found::NotFound => return HttpError::not_found(),
    };
    HttpError::new(StatusCode::NOT_FOUND, reason)
}

/// Sends a file piece by piece until it ends or nobody listens any more.
fn pump(mut file: impl Read, sender: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut piece = vec![0; PIECE];
        let result = match file.read(&mut piece) {
            Ok(0) => return,
            Ok(length) => {
                piece.truncate(length);
                Ok(Bytes::from(piece))
            }
            Err(error) => Err(error),
        };
        let failed = result.is_err();
        if sender.blocking_send(result).is_err() || failed {
            return;
        }
    }
}
