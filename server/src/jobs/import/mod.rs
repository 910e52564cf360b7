//! Bringing the paths of another binary cache, or of a Nix store, into a cache.
//!
//! A path is fetched into the spool and committed exactly as if it had been pushed: its bytes are compared with what the source
//! says, it is signed, recorded and published. The signatures that it has are kept.
//!
//! Nothing is remembered of how far an import has come, because the cache itself shows it: what it has is not fetched again.
//! So an import that was stopped or killed goes on where it was, at the price of asking the index.
//!
//! | file | what |
//! |---|---|
//! | `source.rs` | what every source has to answer |
//! | `directory.rs`, `bucket.rs`, `web.rs`, `nix_store.rs` | the kinds of sources |
//! | `path.rs` | the import of one path |
//! | `credentials.rs` | what a source wants to see |
//! | `adopt.rs` | adopting what the original Python server has, without a copy |
//! | `pattern.rs` | which paths |

mod adopt;
mod bucket;
mod credentials;
mod directory;
mod nix_store;
mod path;
mod pattern;
mod source;
mod web;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use admin_api::{ApiError, ErrorCode, ImportRequest, ImportSummary, JobSummary, Unit};
use nix_formats::StorePathHash;

pub(super) use self::credentials::refuse_secrets;

use self::path::{Importer, gone};
use self::source::{Source, SourceError};
use super::JobError;
use super::job::Reporter;
use super::transfer::{Throttle, Walk, parse_path};
use crate::chain::chain;
use crate::core::Core;

/// How the configuration file of the original Python server is named as a source.
const ORIGINAL: &str = "python://";

pub(super) async fn import(
    core: &Arc<Core>,
    request: &ImportRequest,
    reporter: &Reporter,
) -> Result<JobSummary, JobError> {
    let ImportRequest { cache, source: place, dry_run, .. } = request;
    reporter.begin(Some("opening the source".to_owned()), Unit::Paths, 0, None);
    if let Some(config) = place.strip_prefix(ORIGINAL) {
        return adopt::adopt(core, Path::new(config), request, reporter).await;
    }
    let target = core.find_cache(cache).ok_or_else(|| gone(cache))?;
    let source = Source::open(place, core, &target, &request.credentials).await.map_err(refused)?;
    drop(target);
    reporter.begin(Some("listing the source".to_owned()), Unit::Paths, 0, None);
    let stop = reporter.stop_token();
    let paths = stop.run_until_cancelled(paths_of(&source, request)).await.ok_or(JobError::Stopped)??;
    let importer = Importer {
        core: core.clone(),
        cache: cache.clone(),
        source,
        filter: request.filter.clone(),
        closure: request.closure,
        dry_run: *dry_run,
        throttle: Throttle::new(request.rate),
        // Of its own, so that a failure ends the other paths but is not taken for a request to stop.
        stop: stop.child_token(),
        received: AtomicU64::new(0),
    };
    let tally = Walk::new(importer, reporter, request.jobs, request.closure, paths).run().await?;
    Ok(JobSummary::Import(ImportSummary {
        source: place.clone(),
        cache: cache.clone(),
        dry_run: *dry_run,
        imported: tally.moved,
        file_bytes: tally.file_bytes,
        nar_bytes: tally.nar_bytes,
        present: tally.present,
        filtered: tally.filtered,
        skipped: tally.skipped(),
    }))
}

/// The paths that an operator names, or all that the source has.
async fn paths_of(source: &Source, request: &ImportRequest) -> Result<Vec<StorePathHash>, JobError> {
    if !request.paths.is_empty() {
        return request.paths.iter().map(|text| parse_path(text)).collect();
    }
    source.list().await.map_err(refused)?.ok_or_else(|| {
        JobError::Failed(ApiError {
            code: ErrorCode::Invalid,
            message: "this kind of cache has no list of its paths".to_owned(),
            hint: Some(
                "pipe a list of store paths into the command; with --closure, what they refer to is imported as well"
                    .to_owned(),
            ),
        })
    })
}

fn refused(error: SourceError) -> JobError {
    let code = match error {
        SourceError::Unavailable(_) => ErrorCode::Unavailable,
        _ => ErrorCode::Invalid,
    };
    JobError::Failed(ApiError { code, message: format!("cannot import: {}", chain(&error)), hint: None })
}
