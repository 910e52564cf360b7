//! `serve/HASH/path`: one file of a NAR.

use std::io::{self, BufReader, Read};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::{Catalog, PathRecord};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use nar_storage::layout;
use nix_formats::StorePathHash;
use nix_formats::nar::{FileReader, Found, NarError, find_file};
use percent_encoding::percent_decode_str;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use warp::reply::{Reply, Response};

use super::turn_of;
use crate::cache::lookup::LookupError;
use crate::cache::narinfo::nar_file_name;
use crate::cache::storages::CacheStorage;
use crate::cache::{Cache, PushError, blocking};
use crate::decode::decoder_of;
use crate::http::error::HttpError;
use crate::http::router::{self, Head, Request};
use crate::http::state::State;
use crate::http::{Answer, body};
use crate::limits::budget::{Exhausted, Share};
use crate::limits::decoder_memory::{DecoderKind, DecodersBusy};
use crate::limits::slots::{Slot, Slots};

/// Bytes sent at once.
const PIECE: usize = 256 << 10;
/// Bytes unpacked at once.
const BUFFER: usize = 64 << 10;
/// Pieces that wait for a slow reader.
const PIECES_AHEAD: usize = 1;
/// Files that are unpacked at the same time.
static UNPACKING: Semaphore = Semaphore::const_new(4);
/// How long a reader waits for its turn.
const TURN: Duration = Duration::from_secs(30);
/// How long a reader may take in addition to the time that the size of the file allows.
const READER_STALL: Duration = Duration::from_secs(60);
/// The lowest rate in bytes per second at which a reader may read.
const LOWEST_RATE: u64 = 8 << 10;

/// Files that one client may read at a time: a third of all readers.
static SLOTS: Slots = Slots::new(8);

/// `GET serve/HASH/path`.
pub async fn get(request: Request<router::Read, (StorePathHash, String)>) -> Answer {
    let Request { state, cache, path: (hash, path), head, .. } = request;
    send(&state, &cache, &hash, &path, &head).await
}

/// Sends a file of a NAR. `path` is as it stands in the URL.
pub async fn send(
    state: &State,
    cache: &Arc<Cache>,
    hash: &StorePathHash,
    path: &str,
    head: &Head,
) -> Answer {
    let record = cache.find_path(&state.catalog, hash).await?.ok_or_else(HttpError::not_found)?;
    // Other files of the path have the same tag, but another URL.
    let etag = format!("\"{}\"", record.nar.nar_hash.to_hex());
    let etag = HeaderValue::try_from(etag).map_err(|error| HttpError::internal(&error))?;
    let is_known = head.header("if-none-match")?.is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let storage = readable_storage(&state.catalog, cache, &record).await?;
    if is_known {
        let mut response = crate::http::status(StatusCode::NOT_MODIFIED);
        response.headers_mut().insert(ETAG, etag);
        return Ok(response);
    }
    let Opened { size, pieces, slot } = open(&storage, &record, path, head.client).await?;
    let body = stream::unfold((pieces, slot), |(mut pieces, slot)| async move {
        Some((pieces.recv().await?, (pieces, slot)))
    });
    let mut response = warp::reply::stream(body).into_response();
    describe(&mut response, size, cache.is_public(), etag);
    Ok(response)
}

/// Reads a file of a NAR that is known to be small. `path` is as it stands in the URL.
///
/// # Errors
///
/// 404 if there is no such file, 413 if it has more than `limit` bytes.
pub async fn read_small(
    catalog: &Catalog,
    cache: &Arc<Cache>,
    record: &PathRecord,
    path: &str,
    client: Option<IpAddr>,
    limit: u64,
) -> Result<Vec<u8>, HttpError> {
    let storage = readable_storage(catalog, cache, record).await?;
    let Opened { size, mut pieces, slot: _slot } = open(&storage, record, path, client).await?;
    if size > limit {
        return Err(body::too_large(limit));
    }
    let mut contents = Vec::new();
    while let Some(piece) = pieces.recv().await {
        contents.extend_from_slice(&piece.map_err(|error| HttpError::internal(&error))?);
    }
    Ok(contents)
}

/// A storage of a path that can be read.
async fn readable_storage(
    catalog: &Catalog,
    cache: &Arc<Cache>,
    record: &PathRecord,
) -> Result<Arc<CacheStorage>, HttpError> {
    let place = cache.readable_place(catalog, &record.nar).await.map_err(LookupError::from)?;
    place.ok_or_else(HttpError::not_found)
}

/// A file of a NAR that is being unpacked.
struct Opened {
    size: u64,
    pieces: Pieces,
    slot: Slot,
}

async fn open(
    storage: &Arc<CacheStorage>,
    record: &PathRecord,
    path: &str,
    client: Option<IpAddr>,
) -> Result<Opened, HttpError> {
    // Names in a NAR are bytes, and need not be UTF-8.
    let path = path
        .split('/')
        .filter(|component| !component.is_empty())
        .map(|component| percent_decode_str(component).collect())
        .collect();
    let backend = storage.storage.clone();
    let key = layout::nar_key(&nar_file_name(record));
    let compression = record.nar.compression;
    let slot = SLOTS.take(client).ok_or(Exhausted)?;
    let share = Share::of_reader();
    share.grow(1).await?;
    let open = move || {
        let reader = backend.open_blocking(&key).map_err(io::Error::other)?;
        decoder_of(DecoderKind::Served, reader, compression)
    };
    let (size, pieces) = extract(open, path, share).await?;
    Ok(Opened { size, pieces, slot })
}

fn describe(response: &mut Response, size: u64, public: bool, etag: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    // A browser must never run a stored page as one of this site.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // The path may be deleted and pushed again with other contents, so it is asked for again, and its tag tells.
    let caching = if public { "public, max-age=0, must-revalidate" } else { "private, no-cache" };
    headers.insert(ETAG, etag);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
}

type Pieces = mpsc::Receiver<io::Result<Bytes>>;

/// A file of a NAR that is being unpacked.
type Unpacked = FileReader<BufReader<Box<dyn Read + Send>>>;

/// Finds the file and starts to unpack it. Returns its size and its bytes.
async fn extract(
    open: impl FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 'static,
    path: Vec<Vec<u8>>,
    share: Share,
) -> Result<(u64, Pieces), HttpError> {
    let turn = turn_of(&UNPACKING, TURN).await?;
    let found = blocking(move || {
        // Held by the work itself, which continues if the client disconnects.
        let _turn = turn;
        find(open, &path)
    });
    let (size, file) = found.await??;
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    tokio::spawn(pump(file, sender, share));
    Ok((size, pieces))
}

/// Looks for the file. Blocks.
fn find(
    open: impl FnOnce() -> io::Result<Box<dyn Read + Send>>,
    path: &[Vec<u8>],
) -> Result<(u64, Unpacked), HttpError> {
    let nar = BufReader::with_capacity(BUFFER, open().map_err(|error| HttpError::internal(&error))?);
    match find_file(nar, path) {
        Ok(Found::File { size, reader, .. }) => Ok((size, reader)),
        Ok(other) => Err(no_file(&other)),
        Err(NarError::Io(error)) if DecodersBusy::is_cause_of(&error) => {
            Err(PushError::Busy(DecodersBusy).into())
        }
        Err(error) => Err(HttpError::internal(&error)),
    }
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

/// Sends a file piece by piece until it ends or the reader is gone. A thread is taken for one piece at a time, so none waits for
/// the reader. A reader that stalls is cut off, sooner if others need its place.
async fn pump(mut file: Unpacked, sender: mpsc::Sender<io::Result<Bytes>>, share: Share) {
    let begun = Instant::now();
    let mut sent: u64 = 0;
    loop {
        let Ok(turn) = UNPACKING.acquire().await else { return };
        let read = blocking(move || {
            let piece = read_piece(&mut file);
            (file, piece)
        });
        let Ok((rest, piece)) = read.await else { return };
        drop(turn);
        file = rest;
        let is_last = match &piece {
            Ok(piece) if piece.is_empty() => return,
            Ok(piece) => {
                sent += piece.len() as u64;
                false
            }
            Err(_) => true,
        };
        let length = piece.as_ref().map_or(0, Bytes::len);
        let deadline = begun + READER_STALL + Duration::from_secs(sent / LOWEST_RATE);
        let sending = tokio::time::timeout_at(deadline, sender.send(piece));
        match share.wait_for_client(sending).await {
            Ok(Ok(Ok(()))) if !is_last => share.has_progressed(length),
            _ => return,
        }
    }
}

/// The next piece; empty at the end. Blocks.
fn read_piece(file: &mut Unpacked) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(PIECE);
    file.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}
