//! The cache-server daemon: a distributed Nix binary cache that speaks the Cachix protocol.

pub mod config;
