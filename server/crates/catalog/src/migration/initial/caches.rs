//! Caches with their signing keys and storages.

use sea_orm_migration::prelude::{
    ConditionalStatement, DbErr, Expr, ExprTrait, ForeignKey, Index, SchemaManager, Table,
};
use sea_orm_migration::schema::{
    big_integer, big_integer_null, big_pk_auto, blob, blob_null, boolean, text, text_null, text_uniq,
};

use super::names::{Cache, SigningKey, Storage};

pub(super) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Cache::Table)
                .col(big_pk_auto(Cache::Id))
                .col(text_uniq(Cache::Name))
                .col(boolean(Cache::Enabled))
                .col(boolean(Cache::Public))
                .col(big_integer(Cache::CreatedAt))
                .col(text(Cache::Turns))
                .take(),
        )
        .await?;

    manager
        .create_table(
            Table::create()
                .table(SigningKey::Table)
                .col(big_pk_auto(SigningKey::Id))
                .col(big_integer(SigningKey::Cache))
                .col(text(SigningKey::Name))
                .col(blob(SigningKey::PublicKey))
                .col(text(SigningKey::Origin))
                .col(big_integer(SigningKey::CreatedAt))
                .col(big_integer_null(SigningKey::RetiredAt))
                .col(blob_null(SigningKey::Sealed))
                .foreign_key(
                    ForeignKey::create()
                        .from(SigningKey::Table, SigningKey::Cache)
                        .to(Cache::Table, Cache::Id),
                )
                .take(),
        )
        .await?;
    // Nix keeps only one of two keys with the same name, so a cache publishes at most one key per name.
    manager
        .create_index(
            Index::create()
                .name("signing_key_published_name")
                .table(SigningKey::Table)
                .col(SigningKey::Cache)
                .col(SigningKey::Name)
                .unique()
                .and_where(Expr::col(SigningKey::RetiredAt).is_null())
                .take(),
        )
        .await?;

    manager
        .create_table(
            Table::create()
                .table(Storage::Table)
                .col(big_pk_auto(Storage::Id))
                .col(big_integer(Storage::Cache))
                .col(text(Storage::Name))
                .col(text(Storage::Kind))
                .col(boolean(Storage::Enabled))
                .col(text_null(Storage::Marker))
                .col(text_null(Storage::Location))
                .foreign_key(
                    ForeignKey::create().from(Storage::Table, Storage::Cache).to(Cache::Table, Cache::Id),
                )
                .take(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("storage_name")
                .table(Storage::Table)
                .col(Storage::Cache)
                .col(Storage::Name)
                .unique()
                .take(),
        )
        .await
}
