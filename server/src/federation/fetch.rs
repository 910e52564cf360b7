//! Getting a NAR from where its ticket says, or from whoever else has the same file.

use std::sync::Arc;
use std::time::Duration;

use nar_storage::Blob;
use tokio::time::timeout;

use super::Federation;
use super::relay::{Pieces, Relay};
use super::sources::Sources;
use super::ticket::{Source, Ticket, TicketText};
use crate::cache::Cache;
use nix_formats::NarFileName;

/// How long a reader waits until fewer NARs are being passed on.
const TURN: Duration = Duration::from_secs(30);

/// A NAR of another cache.
pub enum Fetched {
    /// In a cache of ours.
    Here(Blob),
    /// From elsewhere. Ends in an error before the last byte if it is not what it should be.
    Stream(Pieces),
}

/// Why there is no NAR.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody has it any more.
    #[error("nobody has this NAR any more")]
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
        let mut reservation = None;
        let holder = match &ticket.source {
            Source::Here(name) => self.shelf.caches().find(name).filter(|cache| cache.is_public()),
            Source::Peer(_) | Source::Upstream(_) if cache.config().federation.keep => {
                // Before looking, so that what was kept a moment ago is found.
                reservation = self.keeping.reserve(cache, &ticket.file).await;
                Some(cache.clone())
            }
            Source::Peer(_) | Source::Upstream(_) => None,
        };
        if let Some(holder) = holder
            && let Some(blob) = self.open_here(&holder, ticket).await
        {
            return Ok(Fetched::Here(blob));
        }
        let permit = timeout(TURN, self.relays.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| FetchError::Busy)?.map_err(|_| FetchError::Busy)?;
        let mut sources = Sources::new(self, cache, ticket);
        let Some(feed) = sources.open().await else {
            self.now_absent(cache, &ticket.path);
            return Err(FetchError::Absent);
        };
        let copy = match reservation {
            Some(reservation) => self.keep(cache, ticket, reservation).await,
            None => None,
        };
        Ok(Fetched::Stream(Relay::start(sources, feed, ticket, permit, copy)))
    }

    async fn open_here(&self, cache: &Cache, ticket: &Ticket) -> Option<Blob> {
        let nar = cache.find_nar(&self.catalog, &ticket.file).await.ok()??;
        if nar.size != ticket.file_size {
            return None;
        }
        cache.open_nar(&self.catalog, &ticket.file, &nar, None).await.ok()?
    }
}
