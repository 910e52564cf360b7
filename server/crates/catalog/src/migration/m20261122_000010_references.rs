//! References in the order of their paths, on SQLite: garbage collection reads all of them, and a table with row numbers
//! would be looked into once more for each. PostgreSQL has no such tables, and no need.

use sea_orm_migration::prelude::{
    DbErr, DeriveIden, DeriveMigrationName, ForeignKey, ForeignKeyAction, Index, MigrationTrait,
    SchemaManager, Table, async_trait,
};
use sea_orm_migration::schema::{big_integer, blob, text};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Sqlite {
            return Ok(());
        }
        manager
            .create_table(
                Table::create()
                    .table(OrderedReference::Table)
                    .col(big_integer(OrderedReference::Path))
                    .col(big_integer(OrderedReference::Position))
                    .col(blob(OrderedReference::Hash))
                    .col(text(OrderedReference::Name))
                    .primary_key(Index::create().col(OrderedReference::Path).col(OrderedReference::Position))
                    .foreign_key(
                        ForeignKey::create()
                            .from(OrderedReference::Table, OrderedReference::Path)
                            .to(StorePath::Table, StorePath::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .extra("WITHOUT ROWID")
                    .take(),
            )
            .await?;
        let connection = manager.get_connection();
        for statement in [
            "INSERT INTO ordered_reference (path, position, hash, name) \
             SELECT path, position, hash, name FROM reference ORDER BY path, position",
            "DROP TABLE reference",
            "ALTER TABLE ordered_reference RENAME TO reference",
        ] {
            connection.execute_unprepared(statement).await?;
        }
        // Went with the table it was of.
        let index =
            Index::create().name("reference_hash").table(Reference::Table).col(Reference::Hash).take();
        manager.create_index(index).await
    }
}

#[derive(DeriveIden)]
enum StorePath {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Reference {
    Table,
    Hash,
}

#[derive(DeriveIden)]
enum OrderedReference {
    Table,
    Path,
    Position,
    Hash,
    Name,
}
