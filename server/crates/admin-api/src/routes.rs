//! The paths of the endpoints.

use std::fmt::Write as _;

/// The state of the daemon: `GET`.
pub const STATUS: &str = "/v1/status";

/// All caches: `GET`.
pub const CACHES: &str = "/v1/caches";

/// All tokens: `GET` lists them, `POST` creates one.
pub const TOKENS: &str = "/v1/tokens";

/// All long jobs: `GET` lists them, `POST` starts or joins one.
pub const JOBS: &str = "/v1/jobs";

/// One cache: `GET`.
pub fn cache(name: &str) -> String {
    format!("{CACHES}/{}", segment(name))
}

/// One store path of a cache, by the 32 characters of its store hash: `GET`.
pub fn path(cache_name: &str, store_hash: &str) -> String {
    format!("{}/paths/{}", cache(cache_name), segment(store_hash))
}

/// Revokes a token: `POST`, without a body.
pub fn revoke_token(id: &str) -> String {
    format!("{TOKENS}/{}/revoke", segment(id))
}

/// Stops a long job: `POST`, without a body.
pub fn stop_job(id: &str) -> String {
    format!("{JOBS}/{}/stop", segment(id))
}

/// Names and ids that are valid pass unchanged; anything else is percent-encoded, so that what a
/// person typed stays one segment of the path and gets an answer about itself.
fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => encoded.push(char::from(byte)),
            // Encoded although URLs allow it: `..` would be a step up.
            _ => write!(encoded, "%{byte:02X}").expect("writing to a String does not fail"),
        }
    }
    encoded
}
