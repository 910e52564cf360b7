//! Getting a NAR from where its ticket says, or from whoever else has the same file.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use nar_storage::Blob;
use url::Url;

use super::Federation;
use super::ask::Candidate;
use super::relay::{Liar, Pieces, Relay};
use super::ticket::{Source, Ticket, TicketText, within};
use crate::cache::Cache;
use nix_formats::NarFileName;

/// A NAR of another cache.
pub enum Fetched {
    /// In a cache of ours.
    Here(Blob),
    /// From elsewhere. Ends in an error before the last byte if it is not what it should be.
    Stream(Pieces),
}

impl Federation {
    /// The ticket in a URL of ours.
    pub fn open_ticket(&self, text: &TicketText, file: &NarFileName, cache: &Cache) -> Option<Ticket> {
        self.tickets.load().open(text, file, cache.name())
    }

    /// The NAR that the ticket is for; `None` if nobody has it any more.
    pub async fn fetch(self: &Arc<Self>, cache: &Arc<Cache>, ticket: &Ticket) -> Option<Fetched> {
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
            return Some(Fetched::Here(blob));
        }
        let permit = self.relays.clone().try_acquire_owned().ok()?;
        let (base, answer) = match self.fetch_as_told(ticket).await {
            Some(fetched) => fetched,
            None => match self.fetch_from_others(cache, ticket).await {
                Some(fetched) => fetched,
                None => {
                    self.now_absent(cache, &ticket.path);
                    return None;
                }
            },
        };
        let federation = self.clone();
        let liar: Liar =
            Box::new(
                move |lied| {
                    if lied { federation.health.lied(&base) } else { federation.health.failed(&base) }
                },
            );
        let copy = match reservation {
            Some(reservation) => self.keep(cache, ticket, reservation).await,
            None => None,
        };
        Some(Fetched::Stream(Relay::start(answer.into_body(), ticket, permit, liar, copy)))
    }

    async fn open_here(&self, cache: &Cache, ticket: &Ticket) -> Option<Blob> {
        let nar = cache.find_nar(&self.catalog, &ticket.file).await.ok()??;
        if nar.size != ticket.file_size {
            return None;
        }
        cache.open_nar(&self.catalog, &ticket.file, &nar, None).await.ok()?
    }

    async fn fetch_as_told(&self, ticket: &Ticket) -> Option<(Url, Response<Incoming>)> {
        let base = match &ticket.source {
            Source::Here(_) => return None,
            Source::Peer(base) => base.clone(),
            Source::Upstream(url) => {
                let mut base = url.clone();
                if !base.path().ends_with('/') {
                    base.set_path(&format!("{}/", base.path()));
                }
                base
            }
        };
        self.fetch_from(base, &ticket.source, ticket, &ticket.url).await
    }

    /// Asks everybody else who has the path whether it is in the same file.
    async fn fetch_from_others(
        &self,
        cache: &Arc<Cache>,
        ticket: &Ticket,
    ) -> Option<(Url, Response<Incoming>)> {
        let mut candidates = if cache.is_public() { self.providers(&ticket.path).await } else { Vec::new() };
        candidates.extend(cache.config().upstreams.iter().map(Candidate::upstream));
        for candidate in candidates.iter().filter(|candidate| candidate.source != ticket.source) {
            if !self.health.admits(&candidate.base) {
                continue;
            }
            let Ok(verified) = self.ask(candidate, cache, &ticket.path).await else { continue };
            let other = &verified.ticket;
            if other.file != ticket.file
                || other.nar_hash != ticket.nar_hash
                || other.file_size != ticket.file_size
            {
                continue;
            }
            let base = candidate.base.clone();
            if let Some(fetched) = self.fetch_from(base, &candidate.source, ticket, &other.url).await {
                return Some(fetched);
            }
        }
        None
    }

    async fn fetch_from(
        &self,
        base: Url,
        source: &Source,
        ticket: &Ticket,
        url: &str,
    ) -> Option<(Url, Response<Incoming>)> {
        if !self.health.admits(&base) {
            return None;
        }
        let answer = match self.client.get(&within(&base, url)?, self.asker(source)).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(cache = %base, %error, "could not fetch a NAR");
                self.health.failed(&base);
                return None;
            }
        };
        let length =
            answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if answer.status() != StatusCode::OK || length.is_some_and(|length: u64| length != ticket.file_size) {
            tracing::debug!(cache = %base, status = %answer.status(), ?length, "another cache does not have its NAR");
            self.health.failed(&base);
            return None;
        }
        Some((base, answer))
    }
}
