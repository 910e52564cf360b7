//! Databases that were made before the first release, when eleven migrations led to the schema that the initial one now
//! creates at once.

use sea_orm::{ActiveModelTrait, ActiveValue, DatabaseTransaction, EntityTrait};
use sea_orm_migration::seaql_migrations::{ActiveModel, Entity};

use super::INITIAL;
use crate::{CatalogError, UnixTime};

/// The early migrations, in their order. All of them together made the schema of [`INITIAL`].
const EARLY: [&str; 11] = [
    "m20261122_000001_caches",
    "m20261122_000002_paths",
    "m20261122_000003_pins",
    "m20261122_000004_uploads",
    "m20261122_000005_tokens",
    "m20261122_000006_jobs",
    "m20261122_000007_tombstones",
    "m20261122_000008_locations",
    "m20261122_000009_deploy",
    "m20261122_000010_references",
    "m20261129_000011_clock",
];

/// Records the initial migration in place of the early ones if all of those, and nothing else, were applied. Returns whether
/// it did.
///
/// # Errors
///
/// [`CatalogError::EarlyDatabase`] if only some of the early migrations were applied.
pub(super) async fn adopt_early_database(
    transaction: &DatabaseTransaction,
    applied: &[String],
) -> Result<bool, CatalogError> {
    let is_early = |name: &String| EARLY.contains(&name.as_str());
    // A database with an unknown migration is refused as newer, whatever else was applied.
    if applied.is_empty() || !applied.iter().all(is_early) {
        return Ok(false);
    }
    if applied.len() < EARLY.len() {
        return Err(CatalogError::EarlyDatabase { applied: applied.len(), of: EARLY.len() });
    }
    Entity::delete_many().exec(transaction).await?;
    let row = ActiveModel {
        version: ActiveValue::Set(INITIAL.to_owned()),
        applied_at: ActiveValue::Set(UnixTime::of_system_clock().0),
    };
    row.insert(transaction).await?;
    tracing::info!("adopted a database that was made before the first release");
    Ok(true)
}
