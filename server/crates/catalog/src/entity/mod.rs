//! The rows of the database, one file per table.
//!
//! Columns have the types of the domain; `field.rs` and `values.rs` say how those are stored. Times are Unix seconds. A model
//! that needs no conversion is the public record of its table.

pub(crate) mod agent;
pub(crate) mod cache;
pub(crate) mod cache_size;
pub(crate) mod catalog_identity;
pub(crate) mod clock;
pub(crate) mod deployment;
pub(crate) mod deployment_log;
pub(crate) mod field;
pub(crate) mod job;
pub(crate) mod nar;
pub(crate) mod nar_copy;
pub(crate) mod open_upload;
pub(crate) mod path_elsewhere;
pub(crate) mod pin;
pub(crate) mod realisation;
pub(crate) mod reference;
pub(crate) mod server_key;
pub(crate) mod session;
pub(crate) mod signing_key;
pub(crate) mod storage;
pub(crate) mod storage_by_products;
pub(crate) mod storage_generation;
pub(crate) mod storage_job;
pub(crate) mod store_path;
pub(crate) mod token;
pub(crate) mod tombstone;
pub(crate) mod trashed_path;
pub(crate) mod unpublished_path;
pub(crate) mod upload;
pub(crate) mod values;
pub(crate) mod web_session;
pub(crate) mod workspace;
