//! Signatures that come for a path that is there.

use std::sync::Arc;

use catalog::PathRecord;
use nix_formats::{Signature, StorePath};

use super::Ingest;
use super::description::PathDescription;
use crate::cache::{Cache, PushError};

/// What a push of a path that is there says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeated {
    /// The same as was recorded. Signatures that came along are kept.
    Same,
    /// Something else. Nothing was changed.
    Different,
}

impl Ingest {
    /// Keeps the signatures that came with a path that is there, as far as keys that count in the cache made them. Durable
    /// when this returns.
    pub(super) async fn merge_signatures(
        &self,
        cache: &Arc<Cache>,
        description: &PathDescription,
    ) -> Result<Repeated, PushError> {
        let Some(found) = self.catalog.find_path(cache.id, description.path.hash()).await? else {
            return Ok(Repeated::Same);
        };
        if !is_described_by(&found, description) {
            return Ok(Repeated::Different);
        }
        if further(cache, &found, description).is_empty() {
            return Ok(Repeated::Same);
        }
        // Two that come at once are not each written without the other.
        let _writing = self.nar_store.lock_file(cache.id, found.nar.file_hash).await;
        let Some(mut record) = self.catalog.find_path(cache.id, description.path.hash()).await? else {
            return Ok(Repeated::Same);
        };
        let further: Vec<String> =
            further(cache, &record, description).iter().map(ToString::to_string).collect();
        if record.id != found.id || further.is_empty() {
            return Ok(Repeated::Same);
        }
        record.signatures.extend(further.iter().cloned());
        // Before it is recorded that there is something to make durable, which may happen at once.
        self.publisher.publish_narinfo(cache, &record).await;
        self.catalog.add_signatures(cache.id, *description.path.hash(), further).await?;
        cache.index.forget_reply(description.path.hash());
        Ok(Repeated::Same)
    }
}

/// Whether a path that is there is the one that a client describes: a signature of the one is one of the other.
fn is_described_by(record: &PathRecord, description: &PathDescription) -> bool {
    let sorted = |references: &[StorePath]| {
        let mut references = references.to_vec();
        references.sort_unstable();
        references.dedup();
        references
    };
    record.path == description.path
        && record.nar.nar_hash == description.nar_hash
        && record.nar.nar_size == description.nar_size
        && sorted(&record.references) == sorted(&description.references)
}

fn further(cache: &Cache, record: &PathRecord, description: &PathDescription) -> Vec<Signature> {
    let present: Vec<_> = record.signatures.iter().filter_map(|text| Signature::parse(text).ok()).collect();
    cache.keys().further_signatures(&description.fingerprint(), &description.offered, &present)
}
