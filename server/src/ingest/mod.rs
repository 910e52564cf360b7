//! The moment a push counts: its bytes are compared with what the client announced, stored, recorded, shown.
//!
//! Three protocols end here: uploads in parts of the cachix client, its older upload in one piece, and the plain `PUT`s of
//! `nix copy`. A path becomes visible only once its NAR is verified, durable and recorded.
//!
//! | file | what |
//! |---|---|
//! | `description.rs` | what a client says about the path it pushes |
//! | `commit.rs` | comparing that with the bytes, and storing them |
//! | `record.rs` | recording the path in the catalog, which makes it visible |
//! | `content_address.rs` | whether a path is what its content address says |
//! | `signatures.rs` | signatures that come for a path that is there |
//! | `catch_up.rs` | serving at once what another daemon has committed |

mod catch_up;
mod commit;
mod content_address;
mod description;
mod record;
mod signatures;

use std::sync::Arc;

use catalog::Catalog;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use self::content_address::{Examined, Subject};
pub use self::description::PathDescription;

use crate::cache::{Cache, PushError};
use crate::nar_store::NarStore;
use crate::publish::Publisher;
use crate::uploads::{ListedPart, Uploads, match_parts, stored_parts};

/// Commits pushes.
pub struct Ingest {
    catalog: Catalog,
    uploads: Arc<Uploads>,
    nar_store: Arc<NarStore>,
    publisher: Arc<Publisher>,
    /// Told when a path was recorded whose closure is incomplete.
    incomplete: Notify,
    /// Commits run to their end even if the client hangs up; a shutdown waits for them.
    commits: TaskTracker,
}

impl Ingest {
    /// Commits what arrives in `uploads`.
    pub fn new(
        catalog: Catalog,
        uploads: Arc<Uploads>,
        nar_store: Arc<NarStore>,
        publisher: Arc<Publisher>,
    ) -> Self {
        let (incomplete, commits) = (Notify::new(), TaskTracker::new());
        Self { catalog, uploads, nar_store, publisher, incomplete, commits }
    }

    /// Ends an upload in parts: verifies it against `description` and commits the path. `parts` may be absent, then
    /// everything that arrived counts. May be repeated.
    pub async fn complete(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        id: Uuid,
        upload_id: &str,
        parts: Option<Vec<ListedPart>>,
        description: PathDescription,
    ) -> Result<(), PushError> {
        let Ok(upload) = self.uploads.find(cache, id, upload_id) else {
            return self.find_completed(cache, id).await;
        };
        // Held until the commit is through, so that a repeated request waits for the first one's result.
        let completing = upload.completing.clone().lock_owned().await;
        if self.uploads.find(cache, id, upload_id).is_err() {
            return self.find_completed(cache, id).await;
        }
        let parts = match_parts(&upload, parts)?;
        self.commit_detached(cache, upload, parts, description, completing).await
    }

    /// Succeeds if an upload that is not open here was completed before, by whichever daemon: then a repeated `complete` is
    /// a success as well. Its path is visible here when this returns.
    pub async fn find_completed(&self, cache: &Cache, id: Uuid) -> Result<(), PushError> {
        match self.catalog.find_finished_upload(id).await? {
            Some(finished) if finished.cache == cache.id && self.catch_up(cache, &finished.path).await? => {
                Ok(())
            }
            _ => Err(PushError::UnknownUpload),
        }
    }

    /// Commits the path whose NAR came in one piece before, or is in the cache already because another path has the
    /// same file.
    pub async fn commit_file(
        self: &Arc<Self>,
        cache: &Arc<Cache>,
        description: PathDescription,
    ) -> Result<(), PushError> {
        match self.uploads.find_file(cache.id, description.file_hash) {
            Some(upload) => {
                let completing = upload.completing.clone().lock_owned().await;
                let parts = stored_parts(&upload);
                self.commit_detached(cache, upload, parts, description, completing).await
            }
            None => self.commit_known_detached(cache, description).await,
        }
    }

    /// Waits until a path was recorded whose closure is incomplete.
    pub async fn incomplete(&self) {
        self.incomplete.notified().await;
    }

    /// Waits until no commit is under way. No new ones may be started.
    pub async fn drain(&self) {
        self.commits.close();
        self.commits.wait().await;
    }
}
