//! The schema of the database, as the migrations that create it. A released migration is never changed; a later one
//! follows it.

mod adopt;
mod browse;
mod by_products;
mod cache_size;
mod closures;
mod copies;
mod daily_limit;
mod identity;
mod initial;
mod job_history;
mod job_request;
mod name_order;
mod pushed_by;
mod realisation;
mod sessions;
mod tombstone_deriver;
mod trash;
mod web_sessions;

use sea_orm::{DatabaseConnection, DatabaseTransaction};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::CatalogError;

/// The name of the initial migration in the table of applied migrations.
const INITIAL: &str = "m20261129_000100_initial";

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(initial::Migration),
            Box::new(trash::Migration),
            Box::new(identity::Migration),
            Box::new(job_history::Migration),
            Box::new(tombstone_deriver::Migration),
            Box::new(by_products::Migration),
            Box::new(pushed_by::Migration),
            Box::new(daily_limit::Migration),
            Box::new(job_request::Migration),
            Box::new(browse::Migration),
            Box::new(web_sessions::Migration),
            Box::new(sessions::Migration),
            Box::new(realisation::Migration),
            Box::new(closures::Migration),
            Box::new(cache_size::Migration),
            Box::new(copies::Migration),
            Box::new(name_order::Migration),
        ]
    }
}

/// Brings the schema up to date. The caller commits the transaction, so that a crash leaves either the old schema or the
/// new one, and lets only one daemon at a time call this.
pub(crate) async fn migrate(transaction: &DatabaseTransaction) -> Result<Migrated, CatalogError> {
    let applied = Migrator::get_migration_models(transaction).await?;
    let mut applied: Vec<_> = applied.into_iter().map(|model| model.version).collect();
    if adopt::adopt_early_database(transaction, &applied).await? {
        applied = vec![INITIAL.to_owned()];
    }
    let known: Vec<_> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    if let Some(unknown) = applied.iter().find(|name| !known.contains(name)) {
        return Err(CatalogError::NewerDatabase { migration: unknown.clone() });
    }
    if applied.len() < known.len() {
        Migrator::up(transaction, None).await?;
    }
    Ok(Migrated { before: applied.len(), now: known.len() })
}

/// How many migrations a database had and has.
pub(crate) struct Migrated {
    before: usize,
    now: usize,
}

impl Migrated {
    /// Says in the log which database was opened, and what was done to its schema.
    pub(crate) fn log(&self, database: &str) {
        let Self { before, now } = *self;
        let migrated = now.saturating_sub(before);
        tracing::info!(database, migrations = now, migrated, "opened the database of the catalog");
    }
}

/// Whether the schema is the current one. Writes nothing.
pub(crate) async fn is_current(connection: &DatabaseConnection) -> bool {
    let Ok(applied) = Migrator::get_migration_models(connection).await else { return false };
    let applied: Vec<_> = applied.into_iter().map(|model| model.version).collect();
    Migrator::migrations().iter().map(|migration| migration.name()).eq(applied.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The database lists them so, and a database of another order would count as one of another version.
    #[test]
    fn migrations_are_in_the_order_of_their_names() {
        assert!(Migrator::migrations().iter().map(|migration| migration.name()).is_sorted());
    }
}
