//! Writing paths of a cache as a flat binary cache to a directory or a bucket, for plain Nix and any web server.
//!
//! The NAR of a path is written before its narinfo, and each under its final name only when it is whole. So the target is a
//! good cache at any time, and an export that was stopped or killed goes on where it was: what is there is not written again.
//!
//! | file | what |
//! |---|---|
//! | `path.rs` | the export of one path |
//! | `target.rs`, `directory.rs`, `bucket.rs` | where it goes |

mod bucket;
mod directory;
mod path;
mod target;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use admin_api::{ApiError, ErrorCode, ExportRequest, ExportSummary, JobSummary, Unit};
use nix_formats::StorePathHash;
use parking_lot::Mutex;

use self::path::Exporter;
use self::target::Target;
use super::JobError;
use super::job::Reporter;
use super::transfer::{Throttle, Walk, parse_path};
use crate::cache::Cache;
use crate::core::Core;

pub(super) async fn export(
    core: &Arc<Core>,
    request: &ExportRequest,
    reporter: &Reporter,
) -> Result<JobSummary, JobError> {
    let ExportRequest { cache: name, target: place, dry_run, .. } = request;
    reporter.begin(Some("opening the target".to_owned()), Unit::Paths, 0, None);
    let cache = core
        .find_cache(name)
        .ok_or_else(|| refused(ErrorCode::NotFound, format!("there is no cache called `{name}` any more")))?;
    let paths = paths_of(core, &cache, request).await?;
    let target = Target::open(core, place)
        .await
        .map_err(|reason| refused(ErrorCode::Invalid, format!("cannot export to {place}: {reason}")))?;
    if !dry_run {
        target
            .begin(&cache.nix_cache_info())
            .await
            .map_err(|reason| refused(ErrorCode::Invalid, format!("cannot export to {place}: {reason}")))?;
    }
    let exporter = Exporter {
        core: core.clone(),
        cache: name.clone(),
        target,
        dry_run: *dry_run,
        throttle: Throttle::new(request.rate),
        // Of its own, so that a failure ends the other paths but is not taken for a request to stop.
        stop: reporter.stop_token().child_token(),
        written: AtomicU64::new(0),
        files: Mutex::new(HashMap::new()),
    };
    let has_roots = request.pin.is_some() || !request.paths.is_empty();
    let tally = Walk::new(exporter, reporter, request.jobs, has_roots, paths).run().await?;
    Ok(JobSummary::Export(ExportSummary {
        target: place.clone(),
        cache: name.clone(),
        dry_run: *dry_run,
        exported: tally.moved,
        file_bytes: tally.file_bytes,
        nar_bytes: tally.nar_bytes,
        present: tally.present,
        skipped: tally.skipped(),
    }))
}

/// The paths that are named, that of a pin, or all of the cache.
async fn paths_of(
    core: &Core,
    cache: &Cache,
    request: &ExportRequest,
) -> Result<Vec<StorePathHash>, JobError> {
    let mut paths = request.paths.iter().map(|text| parse_path(text)).collect::<Result<Vec<_>, _>>()?;
    if let Some(name) = &request.pin {
        let pins = core.catalog.list_pins(cache.id).await?;
        let newest = pins.iter().filter(|pin| pin.name == *name).max_by_key(|pin| pin.revision);
        let pin = newest.ok_or_else(|| {
            refused(ErrorCode::NotFound, format!("cache `{}` has no pin called `{name}`", cache.name()))
        })?;
        paths.push(*pin.path.hash());
    } else if paths.is_empty() {
        cache.index.completed().await;
        paths = cache.index.paths();
    }
    Ok(paths)
}

fn refused(code: ErrorCode, message: String) -> JobError {
    JobError::Failed(ApiError { code, message, hint: None })
}
