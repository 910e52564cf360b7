//! The cache-server daemon: a distributed Nix binary cache that speaks the Cachix protocol.

// The fuzz targets name this crate as others do.
#[cfg(test)]
extern crate self as cache_server;

pub mod admin_socket;
pub mod app;
mod archive;
pub mod audit;
pub mod auth;
pub mod cache;
pub mod chain;
mod clock;
pub mod config;
pub mod core;
mod counters;
pub mod decode;
pub mod deploy;
mod derived_key;
mod doctor;
mod fail_points;
pub mod federation;
#[cfg(test)]
mod fuzzed;
mod hashing;
pub mod http;
mod ingest;
mod instructions;
pub mod jobs;
mod limits;
pub mod listeners;
mod nar_store;
pub mod observe;
mod origin;
mod publish;
pub mod reload;
mod request_id;
pub mod restore;
mod sealing;
mod server_key;
mod state_dir;
mod systemd;
pub mod tls;
mod uploads;
pub mod welcome;
pub mod workers;

#[cfg(test)]
mod source_rules;
