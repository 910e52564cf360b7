//! The numbered conformance tests of the protocol reference, section 9, each a test of the real binary.
//!
//! Those of Cachix Deploy, 77 to 106, are in `deploy`. Left out are 107 to 110 (the original
//! clients end to end; `recordings` replays what they send). Parts of tests that are left out are named where they
//! would stand.

mod bulk_query;
mod cache_info;
mod errors;
mod head;
mod key_and_pin;
mod legacy_upload;
mod nix_side;
mod upload_complete;
mod upload_parts;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::json;

use crate::harness::{Permission, Response, Site, random_bytes};

pub fn post_key(site: &Site, cache: &str, token: &str, public_key: &str) -> Response {
    let target = format!("/api/v1/cache/{cache}/key");
    site.api().post(&target).bearer(token).json(&json!({"publicKey": public_key})).send()
}

/// Makes the cache client-signed under a new key, as `cachix generate-keypair` does.
pub fn register_key(site: &Site, cache: &str) -> SigningKey {
    let key = SigningKey::from_bytes(&random_bytes());
    let public = STANDARD.encode(key.verifying_key().to_bytes());
    post_key(site, cache, &site.token(cache, Permission::Admin), &public).expect(200);
    key
}
