//! `POST /api/v1/cache/NAME/narinfo`: returns which of the given paths are missing.
//!
//! Hashes are looked up while the query arrives. Those that the cache has are dropped at once. The others take 20 bytes each
//! from a budget, and are rendered while the reply is sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use catalog::TokenPermission;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use nix_formats::StorePathHash;
use tokio::sync::mpsc;
use warp::reply::{Reply, Response};

use super::hash_list::HashListReader;
use crate::cache::Cache;
use crate::http::Answer;
use crate::http::body::{self, Arrival, Body};
use crate::http::error::HttpError;
use crate::http::router::{ReadApi, Request};
use crate::http::state::State;
use crate::limits::budget::{Sender, Share};

/// Largest body. Clients before 1.7.5 send a whole closure at once.
const BODY_LIMIT: u64 = 16 << 20;
/// Most hashes of one query: as many as fit into the largest body.
const MOST_HASHES: usize = 480_000;
/// Hashes in one allocation, and in one piece of the reply.
const CHUNK: usize = 800;
const CHUNK_BYTES: usize = CHUNK * StorePathHash::LEN;
/// How long the rest of a refused body is read and discarded.
const DRAIN: Duration = Duration::from_secs(5);
/// Pieces of the reply that wait for a slow reader.
const PIECES_AHEAD: usize = 2;
/// How long a reader may stall.
const READ_STALL: Duration = Duration::from_secs(30);

/// `POST …/narinfo`.
pub async fn post(request: Request<ReadApi>) -> Answer {
    let sender = if request.grant.is_some() { Sender::Known } else { Sender::Anonymous };
    let length = request.head.content_length()?.unwrap_or(BODY_LIMIT);
    if length > BODY_LIMIT {
        return Err(body::too_large(BODY_LIMIT));
    }
    let share = Share::of_body(sender, usize::try_from(length).unwrap_or(usize::MAX));
    let Request { state, cache, grant, body, .. } = request;
    // Others could have us ask for whatever they like.
    let is_pusher = grant >= Some(TokenPermission::Write);
    let skips = is_pusher && cache.config().skip_upstream && !cache.config().upstreams.is_empty();
    answer(&state, &cache, share, body, skips).await
}

/// `skips` is whether what an upstream has counts as present.
async fn answer(state: &State, cache: &Arc<Cache>, share: Share, mut body: Body, skips: bool) -> Answer {
    let mut arrival = Arrival::new(BODY_LIMIT);
    let answer = find_missing(state, cache, &share, &mut arrival, &mut body).await;
    match answer {
        Ok(mut missing) => {
            if skips {
                let upstream = state.federation.upstream_has(cache, missing.hashes()).await;
                missing.retain(|hash| !upstream.contains(hash));
            }
            Ok(missing.into_response(share))
        }
        Err(error) => {
            drop(share);
            // A client that is still sending would take the end of the connection for a network failure.
            let rest = async { while let Ok(Some(_)) = arrival.next(&mut body).await {} };
            let _ = tokio::time::timeout(DRAIN, rest).await;
            Err(error)
        }
    }
}

async fn find_missing(
    state: &State,
    cache: &Cache,
    share: &Share,
    arrival: &mut Arrival,
    body: &mut Body,
) -> Result<Missing, HttpError> {
    let mut reader = HashListReader::new(MOST_HASHES);
    let mut missing = Missing::default();
    while let Some(piece) = share.wait_for_client(arrival.next(body)).await?? {
        let begun = Instant::now();
        let mut input = &piece[..];
        while !input.is_empty() {
            if missing.is_crowded() {
                share.grow(CHUNK_BYTES).await?;
                missing.extend();
            }
            reader.read(&mut input, missing.room())?;
            if missing.is_full() {
                missing.sift(state, cache).await?;
                // A lookup of so many hashes takes a while.
                tokio::task::yield_now().await;
            }
        }
        arrival.excuse(begun.elapsed());
    }
    reader.finish()?;
    missing.sift(state, cache).await?;
    Ok(missing)
}

/// The hashes of a query that the cache does not have, in the order of the query.
#[derive(Default)]
struct Missing {
    /// All but the last have been looked up.
    chunks: Vec<Vec<StorePathHash>>,
    /// How many of the last chunk have been looked up.
    sifted: usize,
}

impl Missing {
    /// Whether the last chunk has to be sifted before more fits in.
    fn is_full(&self) -> bool {
        self.chunks.last().is_some_and(|last| last.len() == last.capacity())
    }

    /// Whether to start another chunk, so that hashes are looked up many at a time.
    fn is_crowded(&self) -> bool {
        self.chunks.last().is_none_or(|last| last.len() > CHUNK / 4 * 3 && self.sifted == last.len())
    }

    /// Makes room for another chunk.
    fn extend(&mut self) {
        self.chunks.push(Vec::with_capacity(CHUNK));
        self.sifted = 0;
    }

    /// Returns the chunk for hashes that have yet to be looked up.
    fn room(&mut self) -> &mut Vec<StorePathHash> {
        if self.chunks.is_empty() {
            self.extend();
        }
        let last = self.chunks.len() - 1;
        &mut self.chunks[last]
    }

    /// Removes the hashes that the cache has.
    async fn sift(&mut self, state: &State, cache: &Cache) -> Result<(), HttpError> {
        let Some(last) = self.chunks.last_mut() else { return Ok(()) };
        let missing = cache.missing(&state.catalog, &last[self.sifted..]).await?;
        last.truncate(self.sifted);
        last.extend(missing);
        self.sifted = last.len();
        Ok(())
    }

    /// All of them.
    fn hashes(&self) -> Vec<StorePathHash> {
        self.chunks.iter().flatten().copied().collect()
    }

    /// Keeps some of them.
    fn retain(&mut self, is_kept: impl Fn(&StorePathHash) -> bool) {
        self.chunks.iter_mut().for_each(|chunk| chunk.retain(&is_kept));
        self.chunks.retain(|chunk| !chunk.is_empty());
    }

    fn into_response(self, share: Share) -> Response {
        let count: usize = self.chunks.iter().map(Vec::len).sum();
        let length = count * (StorePathHash::TEXT_LEN + 2) + count.saturating_sub(1) + 2;
        let mut response = if self.chunks.len() <= 1 {
            let hashes = self.chunks.into_iter().next().unwrap_or_default();
            Response::new(render(&hashes, true, true).into())
        } else {
            let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
            tokio::spawn(send(self.chunks, share, sender));
            let pieces = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async move {
                Some((Ok::<_, std::io::Error>(receiver.recv().await?), receiver))
            });
            warp::reply::stream(pieces).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        response
    }
}

/// Sends the reply chunk by chunk. If the reader stalls or others need the memory, the reply ends before its announced length,
/// which the reader takes for a broken connection.
async fn send(chunks: Vec<Vec<StorePathHash>>, share: Share, reader: mpsc::Sender<Bytes>) {
    let last = chunks.len() - 1;
    for (number, chunk) in chunks.into_iter().enumerate() {
        let piece = render(&chunk, number == 0, number == last);
        let sending = tokio::time::timeout(READ_STALL, reader.send(piece));
        match share.wait_for_client(sending).await {
            Ok(Ok(Ok(()))) => {}
            _ => return,
        }
        drop(chunk);
        share.shrink(CHUNK_BYTES);
    }
}

/// Renders one chunk of the JSON array, with the brackets around the first and the last.
fn render(hashes: &[StorePathHash], is_first: bool, is_last: bool) -> Bytes {
    let mut text = String::with_capacity(hashes.len() * (StorePathHash::TEXT_LEN + 3) + 2);
    if is_first {
        text.push('[');
    }
    for (number, hash) in hashes.iter().enumerate() {
        if number > 0 || !is_first {
            text.push(',');
        }
        text.push('"');
        text.push_str(&hash.to_string());
        text.push('"');
    }
    if is_last {
        text.push(']');
    }
    text.into()
}
