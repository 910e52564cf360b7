//! Test 72: Nix itself, the one that Debian ships, pushing to the daemon and fetching from it.

mod copying;
mod fetching;
mod looking;
pub mod pushing;
mod signing;

use crate::harness::nix_host::NixHost;
use crate::harness::site::HOST;
use crate::harness::{Permission, Site};

/// The substituter URL of a cache: NAME.HOST, with the port of this daemon.
pub fn url(site: &Site, cache: &str) -> String {
    format!("http://{cache}.{HOST}:{}", site.port("api"))
}

/// A machine that may write to the cache.
pub fn writer(site: &Site, cache: &str) -> NixHost {
    NixHost::new().with_token(&format!("{cache}.{HOST}"), &site.token(cache, Permission::Write))
}

/// A machine that trusts the cache.
pub fn reader(site: &Site, cache: &str) -> NixHost {
    NixHost::trusting(&site.public_keys(cache))
}
