//! The schema, as the steps that lead to it. A step that was ever released is never changed, only followed by another.

use sea_orm::DatabaseTransaction;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::CatalogError;

mod m20261122_000001_caches;
mod m20261122_000002_paths;
mod m20261122_000003_pins;
mod m20261122_000004_uploads;
mod m20261122_000005_tokens;
mod m20261122_000006_jobs;
mod m20261122_000007_tombstones;
mod m20261122_000008_locations;
mod m20261122_000009_deploy;
mod m20261122_000010_references;
mod m20261129_000011_clock;

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_caches::Migration),
            Box::new(m20261122_000002_paths::Migration),
            Box::new(m20261122_000003_pins::Migration),
            Box::new(m20261122_000004_uploads::Migration),
            Box::new(m20261122_000005_tokens::Migration),
            Box::new(m20261122_000006_jobs::Migration),
            Box::new(m20261122_000007_tombstones::Migration),
            Box::new(m20261122_000008_locations::Migration),
            Box::new(m20261122_000009_deploy::Migration),
            Box::new(m20261122_000010_references::Migration),
            Box::new(m20261129_000011_clock::Migration),
        ]
    }
}

/// Brings the schema up to date. To be committed by the caller, so that a crash leaves the old schema or the new one, and
/// to be run by one daemon at a time.
pub(crate) async fn migrate(transaction: &DatabaseTransaction) -> Result<(), CatalogError> {
    let known: Vec<_> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let applied = Migrator::get_migration_models(transaction).await?;
    if let Some(unknown) = applied.iter().find(|model| !known.contains(&model.version)) {
        return Err(CatalogError::NewerDatabase { migration: unknown.version.clone() });
    }
    if applied.len() < known.len() {
        Migrator::up(transaction, None).await?;
    }
    Ok(())
}
