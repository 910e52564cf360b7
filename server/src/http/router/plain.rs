//! The shortcut in front of the parser: narinfo and NARs that can be answered at once.
//!
//! It decides as `hot.rs` and the two handlers do, and leaves to them whatever takes waiting, is refused, or fails. A test compares both, byte
//! for byte.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use catalog::{StorageId, UnixTime};
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode};
use http_framing::plain;
use nar_storage::Blob;
use nix_formats::{NarFileName, StorePathHash};
use warp::reply::Response;

use super::hot::{Hot, Numbers, nar_name, narinfo_name};
use super::request_log::Line;
use super::site::Root;
use super::template::Template;
use crate::cache::Cache;
use crate::cache::lookup::{Known, OpenedNow};
use crate::cache::nars::KnownNar;
use crate::counters::requests;
use crate::http::access;
use crate::http::nix::{nar, narinfo};
use crate::http::state::State;
use crate::listeners::shortcut::{Answered, Elsewhere, FileBody, Output, Shortcut};

/// The shortcut of a listener.
pub struct Plain {
    state: Arc<State>,
    root: Root,
    numbers: Numbers,
    public: Templates,
    private: Templates,
    absent: Template,
}

/// Replies of a cache.
struct Templates {
    narinfo: Template,
    nar: Template,
}

impl Templates {
    fn of(is_public: bool) -> Self {
        let etag = HeaderValue::from_static("\"\"");
        let mut nar = Response::default();
        nar::describe(nar.headers_mut(), 0, etag.clone(), is_public);
        Self {
            narinfo: Template::of(narinfo::found_reply(is_public, &Bytes::new(), &etag, None)),
            nar: Template::of(nar),
        }
    }
}

impl Plain {
    /// The shortcut of a listener with this root.
    pub fn new(state: Arc<State>, root: Root, numbers: Numbers) -> Self {
        let (public, private) = (Templates::of(true), Templates::of(false));
        Self { state, root, numbers, public, private, absent: Template::of(narinfo::not_found()) }
    }

    fn templates(&self, cache: &Cache) -> &Templates {
        if cache.is_public() { &self.public } else { &self.private }
    }

    /// Finds what the path names, and the cache, if the client may read it.
    fn find<T>(
        &self,
        request: &plain::Plain<'_>,
        name: impl Fn(&str) -> Option<T>,
    ) -> Option<(T, Arc<Cache>)> {
        let Hot { name, by_path, .. } = Hot::find(&self.state, &Method::GET, request.path, name)?;
        let cache = by_path.or_else(|| self.root.find_cache(&self.state, request.host))?;
        access::read(&self.state, &cache, request.authorization).ok()?;
        Some((name, cache))
    }

    fn narinfo(&self, request: &plain::Plain<'_>, output: &mut Output) -> Option<Answered> {
        let (hash, cache): (StorePathHash, _) = self.find(request, narinfo_name)?;
        let (begun, now) = (Instant::now(), UnixTime::now());
        let (counters, status) = (
            &cache.counters,
            match cache.find_narinfo_now(&hash, now) {
                Known::Present(reply) => {
                    let template = &self.templates(&cache).narinfo;
                    template.write(output, reply.etag.as_bytes(), reply.body.len() as u64, now);
                    if !request.is_head {
                        output.push(&reply.body);
                    }
                    cache.counters.narinfo_hits.increment();
                    StatusCode::OK
                }
                Known::Absent if self.state.federation.is_known_absent(&cache, &hash) => {
                    self.absent.write(output, b"", narinfo::NOT_FOUND.len() as u64, now);
                    if !request.is_head {
                        output.push(narinfo::NOT_FOUND.as_bytes());
                    }
                    cache.counters.narinfo_misses.increment();
                    StatusCode::NOT_FOUND
                }
                Known::Absent | Known::Unknown => return None,
            },
        );
        requests::note(&counters.requests, self.numbers.narinfo, status, begun);
        log(request, &cache, status, begun);
        Some(Answered::Whole)
    }

    fn nar(&self, request: &plain::Plain<'_>, output: &mut Output) -> Option<Answered> {
        let (name, cache): (NarFileName, _) = self.find(request, nar_name)?;
        let (begun, now) = (Instant::now(), UnixTime::now());
        let OpenedNow { nar, place, file } = cache.open_nar_now(&name)?;
        let before = output.len();
        self.templates(&cache).nar.write(output, nar.etag.as_bytes(), nar.size, now);
        let prefetched = output.push_file(&file, nar.size);
        // Failures to read a small file are found out before anything is sent.
        if prefetched as u64 != nar.size && nar.size <= Output::MOST_OF_FILE as u64 {
            output.truncate(before);
            return None;
        }
        if cache.note_nar_read(&name.file_hash, &nar) {
            self.state.nar_store.look_for_moves();
        }
        requests::note(&cache.counters.requests, self.numbers.nar, StatusCode::OK, begun);
        log(request, &cache, StatusCode::OK, begun);
        let range = 0..nar.size;
        let elsewhere = nar.copies.is_some().then(|| {
            let state = self.state.clone();
            Box::new(OtherCopies { state, cache, name, nar, place }) as Box<dyn Elsewhere>
        });
        Some(Answered::WithFile(FileBody { file, range, prefetched, elsewhere }))
    }
}

/// The copies of a NAR on other storages.
struct OtherCopies {
    state: Arc<State>,
    cache: Arc<Cache>,
    name: NarFileName,
    nar: Arc<KnownNar>,
    /// The storage that it was read from.
    place: StorageId,
}

impl Elsewhere for OtherCopies {
    fn open(&self, range: Range<u64>, error: io::Error) -> BoxFuture<'_, Option<Blob>> {
        let Self { state, cache, name, nar, place } = self;
        Box::pin(cache.open_rest(&state.catalog, name, nar, (*place, error), range))
    }
}

/// Logs a request if it gets a line.
fn log(request: &plain::Plain<'_>, cache: &Cache, status: StatusCode, begun: Instant) {
    let method = if request.is_head { Method::HEAD } else { Method::GET };
    if let Some(line) = Line::begin(&method, request.path, None) {
        line.since(begun).end(Some(cache), status);
    }
}

impl Shortcut for Plain {
    fn answer(&self, request: &plain::Plain<'_>, output: &mut Output) -> Answered {
        let answered = if request.path.ends_with(".narinfo") {
            self.narinfo(request, output)
        } else if !request.is_head {
            self.nar(request, output)
        } else {
            None
        };
        answered.unwrap_or(Answered::No)
    }
}
