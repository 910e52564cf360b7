//! Black-box tests: the real binary, spoken to as its users speak to it, judged by second implementations of the formats
//! and by Nix itself. Nothing here may know how the daemon works inside.
//!
//! `conformance` holds the numbered tests of the protocol reference, the other modules one subject each.

#![allow(clippy::unwrap_used)]

mod audit;
mod backup;
mod by_products;
mod caching;
mod check_config;
mod conformance;
mod content_address;
mod crash;
mod ctl;
mod damage;
mod deploy;
mod faults;
mod federation;
mod full_disk;
mod gc;
mod harness;
mod health;
mod hostile;
mod listening;
mod logging;
mod metrics;
mod mistakes;
mod moving;
mod nix_client;
mod oidc;
mod operating;
mod plain;
mod printed_urls;
mod push_command;
mod put;
mod quotas;
mod ranges;
mod reconfigure;
mod recordings;
mod refusals;
mod reload;
mod several_daemons;
mod shutdown;
mod signing;
mod startup;
mod storage_layout;
mod storages;
mod systemd;
mod tls;
mod tokens;
mod traces;
mod trash;
mod web;
