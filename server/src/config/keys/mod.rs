//! Every key of the configuration file, once: name, type, default, what a reload does with it, and documentation.
//!
//! One file per part of the configuration. Decoding, printing, reloading, `config.example.yaml`, the reference page and
//! the NixOS options follow from these tables, so a new key takes a field in [`super::model`] and an entry here; then
//! `cargo run --release -- generate-reference .` writes the generated files. Rules between keys are in [`super::decode`],
//! rules about this machine in [`super::check()`].

mod cache;
mod deploy;
mod field;
mod field_conditions;
mod field_secret;
mod file;
mod key;
mod kind;
mod lens;
mod oidc;
mod server;
mod server_network;
mod server_operation;
mod server_state;
mod storage;
mod suggest;
mod table;
mod tls;
mod types;
mod upstream;

pub use cache::{CACHE, CACHE_FEDERATION};
pub use deploy::{AGENT, WORKSPACE};
pub use file::FILE;
pub use key::{About, DefaultValue, Reload};
pub use kind::Kind;
pub use oidc::{CLIENT_CERTIFICATE, OIDC, OIDC_RULE};
pub use server::SERVER;
pub use server_network::FEDERATION;
pub use server_operation::LOG;
pub use storage::{S3_PREFIX, STORAGE};
pub use suggest::nearest;
pub use table::{AnyTable, Entry};
pub use tls::{CACHE_TLS, SERVER_TLS};
pub use upstream::UPSTREAM;

/// Every mapping that the file can have.
pub static ALL: [&dyn AnyTable; 15] = [
    &FILE,
    &SERVER,
    &SERVER_TLS,
    &LOG,
    &FEDERATION,
    &CACHE,
    &CACHE_TLS,
    &UPSTREAM,
    &CACHE_FEDERATION,
    &STORAGE,
    &WORKSPACE,
    &AGENT,
    &OIDC,
    &OIDC_RULE,
    &CLIENT_CERTIFICATE,
];
