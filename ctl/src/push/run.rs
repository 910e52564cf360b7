//! A push as a whole: which paths the server lacks, and their uploads side by side.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use admin_api::{NoteLevel, Unit};
use nix_formats::StorePath;
use serde::Serialize;
use tokio::task::JoinSet;

use super::error::PushError;
use super::store::{PathInfo, Store};
use super::upload::{Uploader, joined};
use crate::follow::{Figures, View};

/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// Pushes paths to one cache.
pub struct Pusher {
    /// What uploads them.
    pub uploader: Arc<Uploader>,
    /// Where they are.
    pub store: Store,
    /// How many are uploaded at once.
    pub jobs: usize,
}

/// What a push came to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The URL of the server.
    pub server: String,
    /// The cache.
    pub cache: String,
    /// Whether nothing was uploaded; then `pushed`, `nar_bytes` tell what would be.
    pub dry_run: bool,
    /// The number of paths in the closure.
    pub paths: u64,
    /// The number of those that the server had, or had from its upstreams.
    pub present: u64,
    /// The paths that were uploaded.
    pub pushed: Vec<String>,
    /// Those that could not be.
    pub failed: Vec<Failure>,
    /// The bytes of the NARs that were uploaded, before compression.
    pub nar_bytes: u64,
    /// The bytes of the compressed files.
    pub file_bytes: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A path that could not be pushed.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The store path.
    pub path: String,
    /// Why.
    pub error: String,
}

impl Pusher {
    /// Pushes the closures of `roots`, or only finds out what that would upload.
    ///
    /// # Errors
    ///
    /// If nothing can be pushed at all. What happens to single paths is in the summary.
    pub async fn push(
        &self,
        roots: &[StorePath],
        dry_run: bool,
        view: &mut View,
    ) -> Result<Summary, PushError> {
        let begun = Instant::now();
        let server = &self.uploader.server;
        let closure = self.store.closure(roots).await?;
        let missing: HashSet<_> = server.missing(&closure).await?.into_iter().collect();
        let to_push: Vec<StorePath> =
            closure.iter().filter(|path| missing.contains(path.hash())).cloned().collect();
        let infos = self.store.describe(&to_push).await?;
        let mut summary = Summary {
            server: server.url().to_string(),
            cache: server.cache().to_owned(),
            dry_run,
            paths: closure.len() as u64,
            present: (closure.len() - to_push.len()) as u64,
            pushed: Vec::new(),
            failed: Vec::new(),
            nar_bytes: 0,
            file_bytes: 0,
            seconds: 0.0,
        };
        if dry_run {
            summary.nar_bytes = infos.iter().map(|info| info.nar_size).sum();
            summary.pushed = infos.iter().map(|info| info.path.to_full_path()).collect();
        } else {
            self.upload_all(infos, &mut summary, view).await?;
        }
        summary.seconds = begun.elapsed().as_secs_f64();
        Ok(summary)
    }

    async fn upload_all(
        &self,
        infos: Vec<PathInfo>,
        summary: &mut Summary,
        view: &mut View,
    ) -> Result<(), PushError> {
        let total = infos.iter().map(|info| info.nar_size).sum();
        let (count, already) = (infos.len(), self.uploader.read.load(Ordering::Relaxed));
        let mut waiting = infos.into_iter();
        let mut uploads = JoinSet::new();
        let mut tick = tokio::time::interval(TICK);
        loop {
            while uploads.len() < self.jobs
                && let Some(info) = waiting.next()
            {
                let uploader = self.uploader.clone();
                uploads.spawn(async move {
                    let result = uploader.upload(&info).await;
                    (info, result)
                });
            }
            tokio::select! {
                done = uploads.join_next() => {
                    let Some(done) = done else { return Ok(()) };
                    let (info, result) = joined(done);
                    let path = info.path.to_full_path();
                    match result {
                        Ok(size) => {
                            summary.nar_bytes += info.nar_size;
                            summary.file_bytes += size;
                            summary.pushed.push(path);
                        }
                        // Dropping the others ends them.
                        Err(error) if error.concerns_all() => return Err(error),
                        Err(error) => {
                            let error = error.chain();
                            view.note(NoteLevel::Warn, &format!("{path} was not pushed: {error}"));
                            summary.failed.push(Failure { path, error });
                        }
                    }
                }
                _ = tick.tick() => {}
            }
            let done = self.uploader.read.load(Ordering::Relaxed).saturating_sub(already);
            let ended = summary.pushed.len() + summary.failed.len();
            let message = format!("{ended} of {count} paths, {} on their way", uploads.len());
            view.progress(Figures { done, total: Some(total), unit: Unit::Bytes }, Some(&message));
        }
    }
}
