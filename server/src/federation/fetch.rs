//! Getting a NAR from where its ticket says, or from whoever else has the same file.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nar_storage::Blob;
use tokio::time::timeout;

use super::Federation;
use super::relay::{Pieces, Relay};
use super::sources::Sources;
use super::ticket::{Source, Ticket, TicketText};
use crate::cache::Cache;
use crate::cache::narinfo::nar_file_name;
use nix_formats::NarFileName;

/// How long a reader waits until fewer NARs are being passed on.
const TURN: Duration = Duration::from_secs(30);

/// A file whose size nobody tells is received so far before its reader gets anything: if that is all of it, its size is known.
const AHEAD: usize = 128 << 10;

/// A NAR of another cache.
pub enum Fetched {
    /// In a cache of ours.
    Here(Blob),
    /// From elsewhere. Ends in an error before the last byte if it is not what it should be.
    Stream {
        /// The bytes.
        pieces: Pieces,
        /// How many there are, where that is known.
        size: Option<u64>,
    },
}

/// Why there is no NAR.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody has it any more.
    #[error("no source has this NAR any more")]
    Absent,
    /// Too many others are being passed on.
    #[error("too many NARs are fetched from elsewhere at once; try again later")]
    Busy,
}

impl Federation {
    /// The ticket in a URL of ours.
    pub fn open_ticket(&self, text: &TicketText, file: &NarFileName, cache: &Cache) -> Option<Ticket> {
        self.tickets.load().open(text, file, cache.name())
    }

    /// The NAR that the ticket is for.
    pub async fn fetch(self: &Arc<Self>, cache: &Arc<Cache>, ticket: &Ticket) -> Result<Fetched, FetchError> {
        self.fetch_and(cache.config().federation.keep, cache, ticket).await
    }

    /// As [`fetch`](Self::fetch), and keeps the path if that `is_kept`.
    pub(super) async fn fetch_and(
        self: &Arc<Self>,
        is_kept: bool,
        cache: &Arc<Cache>,
        ticket: &Ticket,
    ) -> Result<Fetched, FetchError> {
        let mut reservation = None;
        match &ticket.source {
            Source::Here(name) => {
                if let Some(blob) = self.open_next_door(name, cache, ticket).await {
                    return Ok(Fetched::Here(blob));
                }
            }
            Source::Peer(_) | Source::Upstream(_) if is_kept => {
                // Before looking, so that what was kept a moment ago is found.
                reservation = self.keeping.reserve(cache, &ticket.file).await;
                if let Some(blob) = self.open_kept(cache, ticket).await {
                    return Ok(Fetched::Here(blob));
                }
            }
            Source::Peer(_) | Source::Upstream(_) => {}
        }
        let permit = timeout(TURN, self.relays.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| FetchError::Busy)?.map_err(|_| FetchError::Busy)?;
        let mut sources = Sources::new(self, cache, ticket);
        let Some(download) = sources.open().await else {
            self.now_absent(cache, &ticket.path);
            return Err(FetchError::Absent);
        };
        let size = ticket.file_size.or(download.length);
        let copy = match reservation {
            Some(reservation) => self.keep(cache, ticket, size, reservation).await,
            None => None,
        };
        let pieces = Relay::start(sources, download, ticket, permit, copy).map_err(|_| FetchError::Busy)?;
        match size {
            Some(_) => Ok(Fetched::Stream { pieces, size }),
            None => measured(pieces).await.inspect_err(|_| self.now_absent(cache, &ticket.path)),
        }
    }

    /// Opens the file in another cache of this daemon. The ticket does not outlive what it was made for: the path is still
    /// there, still public, and still vouched for by a key that the asking cache trusts.
    async fn open_next_door(&self, name: &str, cache: &Cache, ticket: &Ticket) -> Option<Blob> {
        if !self.looks_around(cache) {
            return None;
        }
        let holder = self.public_caches.caches().find(name)?;
        let verified = self.look_into(&holder, cache, &ticket.path).await?;
        if !ticket.takes(&verified.ticket) {
            return None;
        }
        self.open_file(&holder, &verified.ticket.file).await
    }

    /// Opens the file in the cache itself, if it was kept there.
    async fn open_kept(&self, cache: &Cache, ticket: &Ticket) -> Option<Blob> {
        if ticket.is_file_known {
            let blob = self.open_file(cache, &ticket.file).await?;
            return ticket.file_size.is_none_or(|size| size == blob.len()).then_some(blob);
        }
        let record = cache.find_path(&self.catalog, &ticket.path).await.ok()??;
        let is_same =
            record.nar.nar_hash == ticket.nar_hash && record.nar.compression == ticket.file.compression;
        if is_same { self.open_file(cache, &nar_file_name(&record)).await } else { None }
    }

    async fn open_file(&self, cache: &Cache, file: &NarFileName) -> Option<Blob> {
        let nar = cache.find_nar(&self.catalog, file).await.ok()??;
        cache.open_nar(&self.catalog, file, &nar, None).await.ok()?
    }
}

/// A file of unknown size whose beginning has arrived. A small one is then there as a whole, and known to be right.
async fn measured(mut pieces: Pieces) -> Result<Fetched, FetchError> {
    let (mut beginning, mut length) = (Vec::<Bytes>::new(), 0);
    while length < AHEAD {
        match pieces.next().await {
            Some(Ok(piece)) => {
                length += piece.len();
                beginning.push(piece);
            }
            // Nothing was sent to the reader so far, so this need not look like a transfer that broke off.
            Some(Err(_)) => return Err(FetchError::Absent),
            None => {
                let pieces = stream::iter(beginning.into_iter().map(Ok));
                return Ok(Fetched::Stream { pieces: Box::pin(pieces), size: Some(length as u64) });
            }
        }
    }
    let pieces = stream::iter(beginning.into_iter().map(Ok)).chain(pieces);
    Ok(Fetched::Stream { pieces: Box::pin(pieces), size: None })
}
