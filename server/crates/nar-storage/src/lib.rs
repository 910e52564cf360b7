//! Storages: where the bytes of binary caches are kept.
//!
//! A [`Storage`] keeps objects under [`Key`]s and is itself a standard flat binary cache: [`layout`] defines the key of each
//! object. This crate knows files, durability and streaming. It knows neither caches, catalogs, tokens nor HTTP, and never reads
//! the contents of an object.
//!
//! Every backend passes the scenarios in `tests/suite`.

mod blob;
mod counted;
mod error;
mod health;
mod key;
pub mod layout;
mod local;
mod measured;
mod s3;
mod spool;
mod storage;
mod strategy;
#[cfg(feature = "testing")]
pub mod testing;

pub use blob::{Blob, BlobBody, BlobStream};
pub use counted::Counted;
pub use error::{Context, Operation, StorageError, is_unfit};
pub use health::{Health, HealthMonitor};
pub use key::{InvalidKey, Key};
pub use local::{
    DEFAULT_OPEN_FILES, FileIdentity, FileObject, Linking, LocalStorage, PhysicalCount, ReadCache, Sent,
    SpooledLink,
};
pub use measured::{Measured, MeasuredStorage, OperationMeter, StorageMeter};
pub use s3::{BucketError, BucketReader, BucketSettings, S3Credentials, S3Settings, S3Storage};
pub use spool::{KEPT, spooled_bytes};
pub use storage::{Durability, Storage, Usage};
pub use strategy::{
    InvalidTurns, NoRoom, Placement, Reservation, StorageSnapshot, StorageState, Strategy, Turns,
};
