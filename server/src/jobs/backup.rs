//! Copying the catalog.

use std::path::Path;

use admin_api::{ApiError, BackupSummary, ErrorCode, JobSummary, Unit};
use catalog::CatalogError;

use super::JobError;
use super::job::Reporter;
use crate::chain::chain;
use crate::core::Core;

/// Writes a copy to `file`.
pub(super) async fn backup(core: &Core, file: &str, reporter: &Reporter) -> Result<JobSummary, JobError> {
    reporter.begin("copying the catalog".to_owned(), Unit::Bytes, 0, None);
    let refused = |message: String, hint: &str| {
        JobError::Failed(ApiError { code: ErrorCode::Invalid, message, hint: Some(hint.to_owned()) })
    };
    if !Path::new(file).is_absolute() {
        return Err(refused(format!("`{file}` is not absolute"), "name the file from the root directory on"));
    }
    match core.catalog.backup(Path::new(file)).await {
        Ok(bytes) => {
            reporter.advance(bytes);
            Ok(JobSummary::Backup(BackupSummary { file: file.to_owned(), bytes }))
        }
        Err(error @ CatalogError::Create { .. }) => {
            Err(refused(chain(&error), "the daemon writes the file: name a new one where it may write"))
        }
        Err(error @ CatalogError::NoBackup) => Err(refused(
            chain(&error),
            "the storages need no copy of the catalog: see `cachectl fsck --rebuild`",
        )),
        Err(error) => Err(error.into()),
    }
}
