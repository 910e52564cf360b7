//! The narinfo of a path of another cache as our readers get it.

use bytes::Bytes;

use super::Federation;
use super::ask::Verified;
use super::find::Found;
use super::ticket::Source;
use crate::cache::Cache;
use crate::cache::keys::{AgentNames, Offered};
use crate::cache::lookup::etag_of;

impl Federation {
    /// The narinfo under our signature, with a URL that leads to us. What is signed here is vouched for by a key that the
    /// cache trusts; its signatures go along, for readers who trust those and not us.
    pub(super) fn sign(&self, cache: &Cache, verified: Verified) -> Found {
        let Verified { mut narinfo, valid, ticket } = verified;
        let fingerprint = narinfo.fingerprint();
        let theirs = std::mem::take(&mut narinfo.signatures);
        // A cache whose clients sign has no key here. Its readers may trust who signed it elsewhere.
        let ours = cache.keys().sign(&fingerprint, &Offered::Named(theirs.clone())).unwrap_or_default();
        narinfo.signatures = ours;
        for signature in theirs {
            if !narinfo.signatures.contains(&signature) {
                narinfo.signatures.push(signature);
            }
        }
        cache.keys().sign_for_agents(&mut narinfo, AgentNames::All);
        narinfo.url = self.tickets.load().url(&ticket, cache.name());
        narinfo.file_hash = ticket.file_hash();
        narinfo.file_size = ticket.file_size;
        let body = Bytes::from(narinfo.to_string());
        let etag = etag_of(&body);
        let is_upstream = matches!(ticket.source, Source::Upstream(_));
        Found { body, etag, narinfo, valid, file: ticket.file, ticket, is_upstream }
    }
}
