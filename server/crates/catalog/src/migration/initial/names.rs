//! The names of tables and columns. They are frozen with the migration: a later one that renames something must not change
//! what this one creates, so the names are not taken from the entities.

use sea_orm_migration::prelude::DeriveIden;

#[derive(DeriveIden)]
pub(super) enum Cache {
    Table,
    Id,
    Name,
    Enabled,
    Public,
    CreatedAt,
    Turns,
}

#[derive(DeriveIden)]
pub(super) enum SigningKey {
    Table,
    Id,
    Cache,
    Name,
    PublicKey,
    Origin,
    CreatedAt,
    RetiredAt,
    Sealed,
}

#[derive(DeriveIden)]
pub(super) enum Storage {
    Table,
    Id,
    Cache,
    Name,
    Kind,
    Enabled,
    Marker,
    Location,
}

#[derive(DeriveIden)]
#[expect(clippy::enum_variant_names, reason = "the variants are the names of columns")]
pub(super) enum Nar {
    Table,
    Id,
    Cache,
    Storage,
    FileHash,
    Compression,
    FileSize,
    NarHash,
    NarSize,
    Damaged,
    CreatedAt,
}

#[derive(DeriveIden)]
pub(super) enum StorePath {
    Table,
    Id,
    Cache,
    Hash,
    Name,
    Nar,
    Deriver,
    Ca,
    Signatures,
    CreatedAt,
    LastUsedAt,
}

#[derive(DeriveIden)]
pub(super) enum Reference {
    Table,
    Path,
    Position,
    Hash,
    Name,
}

#[derive(DeriveIden)]
pub(super) enum UnpublishedPath {
    Table,
    Id,
    Path,
}

#[derive(DeriveIden)]
pub(super) enum Pin {
    Table,
    Id,
    Cache,
    Name,
    Revision,
    PathHash,
    PathName,
    Artifacts,
    KeepDays,
    KeepRevisions,
    KeepForever,
    CreatedAt,
}

#[derive(DeriveIden)]
pub(super) enum Upload {
    Table,
    NarId,
    Cache,
    PathHash,
    FinishedAt,
}

#[derive(DeriveIden)]
pub(super) enum OpenUpload {
    Table,
    NarId,
    Cache,
    Owner,
    FileHash,
    CreatedAt,
}

#[derive(DeriveIden)]
pub(super) enum Token {
    Table,
    Id,
    Subject,
    Caches,
    Permission,
    CreatedAt,
    ExpiresAt,
    RevokedAt,
}

#[derive(DeriveIden)]
pub(super) enum StorageJob {
    Table,
    Storage,
    Kind,
    After,
    StartedAt,
    FinishedAt,
    Files,
    Bytes,
    Damaged,
    Failed,
}

#[derive(DeriveIden)]
pub(super) enum Tombstone {
    Table,
    Id,
    Cache,
    Storage,
    Hash,
    Nar,
}

#[derive(DeriveIden)]
pub(super) enum Workspace {
    Table,
    Id,
    Name,
    Cache,
    Enabled,
    CreatedAt,
}

#[derive(DeriveIden)]
pub(super) enum Agent {
    Table,
    Id,
    Name,
    Workspace,
    Enabled,
    CreatedAt,
    LastNumber,
    Version,
    System,
    LastSeenAt,
}

#[derive(DeriveIden)]
pub(super) enum Deployment {
    Table,
    Id,
    Agent,
    Number,
    StorePath,
    PathHash,
    RollbackScripts,
    Status,
    ClosureSize,
    CreatedAt,
    DeliveredAt,
    StartedAt,
    FinishedAt,
    BegunAt,
    LogLines,
    LogBytes,
    LogTruncated,
}

#[derive(DeriveIden)]
pub(super) enum DeploymentLog {
    Table,
    Deployment,
    Number,
    Time,
    Line,
}

#[derive(DeriveIden)]
pub(super) enum Clock {
    Table,
    Id,
    SeenAt,
}
