//! The rows as the database holds them, one file per table. Hashes are raw bytes, times are Unix seconds.

pub(crate) mod agent;
pub(crate) mod cache;
pub(crate) mod clock;
pub(crate) mod deployment;
pub(crate) mod deployment_log;
pub(crate) mod nar;
pub(crate) mod open_upload;
pub(crate) mod pin;
pub(crate) mod reference;
pub(crate) mod signing_key;
pub(crate) mod storage;
pub(crate) mod storage_job;
pub(crate) mod store_path;
pub(crate) mod token;
pub(crate) mod tombstone;
pub(crate) mod unpublished_path;
pub(crate) mod upload;
pub(crate) mod workspace;
