//! Copying a whole catalog into an empty one, whichever database each of them is in.
//!
//! Rows are copied through their models, so that what one database stores in its own way arrives in that of the other.

use futures_util::StreamExt;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityName, EntityTrait,
    IntoActiveModel, PaginatorTrait, Statement, StreamTrait,
};

use crate::entity::{
    agent, cache, cache_size, catalog_identity, clock, deployment, deployment_log, job, nar, nar_copy,
    open_upload, path_elsewhere, pin, realisation, reference, server_key, session, signing_key, storage,
    storage_by_products, storage_generation, storage_job, store_path, token, tombstone, trashed_path,
    unpublished_path, upload, web_session, workspace,
};

/// Rows that are inserted with one statement. SQLite takes 32,766 parameters; the widest table has fewer than 20 columns.
const ROWS: usize = 1000;

/// Calls a macro with every table, each after those that it refers to.
macro_rules! with_all_tables {
    ($action:ident) => {
        $action! {
            cache, signing_key, storage, storage_job, storage_generation, nar, nar_copy, store_path, reference, unpublished_path,
            pin, upload, open_upload, token, tombstone, trashed_path, workspace, agent, deployment, deployment_log, clock,
            catalog_identity, server_key, job, storage_by_products, realisation, web_session, session, cache_size,
            path_elsewhere,
        }
    };
}

/// Copies all rows. `target` has the same schema and is empty.
pub(crate) async fn copy_all(
    source: &(impl ConnectionTrait + StreamTrait),
    target: &DatabaseTransaction,
) -> Result<(), DbErr> {
    macro_rules! copy {
        ($($table:ident),* $(,)?) => {
            $(copy_table::<$table::Entity>(source, target).await?;)*
        };
    }
    with_all_tables!(copy);
    if ConnectionTrait::get_database_backend(target) == DbBackend::Postgres {
        continue_numbering(target).await?;
    }
    Ok(())
}

/// Returns whether no table has a row.
pub(crate) async fn is_empty(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let mut rows = 0;
    macro_rules! count {
        ($($table:ident),* $(,)?) => {
            $(rows += $table::Entity::find().count(connection).await?;)*
        };
    }
    with_all_tables!(count);
    Ok(rows == 0)
}

async fn copy_table<E>(
    source: &(impl ConnectionTrait + StreamTrait),
    target: &DatabaseTransaction,
) -> Result<(), DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let mut pages = E::find().stream(source).await?.chunks(ROWS);
    while let Some(page) = pages.next().await {
        let rows: Vec<E::Model> = page.into_iter().collect::<Result<_, _>>()?;
        let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
        E::insert_many(rows).exec_without_returning(target).await?;
    }
    Ok(())
}

/// Lets PostgreSQL number new rows from the copied ones on.
async fn continue_numbering(target: &DatabaseTransaction) -> Result<(), DbErr> {
    let mut tables = Vec::new();
    macro_rules! name {
        ($($table:ident),* $(,)?) => {
            $(tables.push($table::Entity.table_name());)*
        };
    }
    with_all_tables!(name);
    for table in tables {
        let numbered = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT 1 FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 \
             AND column_name = 'id' AND data_type = 'bigint' AND (is_identity = 'YES' OR column_default LIKE 'nextval%')",
            [table.into()],
        );
        if target.query_one_raw(numbered).await?.is_none() {
            continue;
        }
        // The name is one of ours and needs no escaping.
        let next = format!(
            "SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), GREATEST(MAX(id), 1), MAX(id) IS NOT NULL) \
             FROM \"{table}\""
        );
        target.query_one_raw(Statement::from_string(DbBackend::Postgres, next)).await?;
    }
    Ok(())
}

/// The names of all tables.
#[cfg(test)]
pub(crate) fn tables() -> Vec<&'static str> {
    let mut names = Vec::new();
    macro_rules! name {
        ($($table:ident),* $(,)?) => {
            $(names.push($table::Entity.table_name());)*
        };
    }
    with_all_tables!(name);
    names
}
