//! The paths of the endpoints.

use std::fmt::Write as _;

use crate::{FollowLog, ListDeployments, ListPaths, ListPins, ReadRecord, UsageBy, UsageQuery};

/// The state of the daemon: `GET`.
pub const STATUS: &str = "/v1/status";

/// All caches: `GET`.
pub const CACHES: &str = "/v1/caches";

/// All tokens: `GET` lists them, `POST` creates one.
pub const TOKENS: &str = "/v1/tokens";

/// All deploy agents: `GET`.
pub const AGENTS: &str = "/v1/agents";

/// All deploy workspaces: `GET`.
pub const WORKSPACES: &str = "/v1/workspaces";

/// Deployments: `GET` with the query of [`list_deployments`] lists them, `POST` makes some.
pub const DEPLOYMENTS: &str = "/v1/deployments";

/// Has an agent go back: `POST`.
pub const ROLLBACK: &str = "/v1/deployments/rollback";

/// All long jobs: `GET` lists them, `POST` starts or joins one.
pub const JOBS: &str = "/v1/jobs";

/// All pins: `GET` with the query of [`list_pins`] lists them, `POST` creates one.
pub const PINS: &str = "/v1/pins";

/// Removes a pin: `POST`.
pub const REMOVE_PIN: &str = "/v1/pins/remove";

/// How much there is: `GET` with the query of [`show_usage`].
pub const USAGE: &str = "/v1/usage";

/// All background tasks: `GET`.
pub const WORKERS: &str = "/v1/workers";

/// All other nodes of the network: `GET`.
pub const PEERS: &str = "/v1/peers";

/// How the node of the DHT is doing: `GET`.
pub const DHT: &str = "/v1/dht";

/// Leaves a note in the DHT: `POST`.
pub const DHT_NOTES: &str = "/v1/dht/notes";

/// Reads the config again: `POST`, without a body.
pub const RELOAD: &str = "/v1/reload";

/// Checks the installation: `GET`.
pub const DOCTOR: &str = "/v1/doctor";

/// One cache: `GET`.
pub fn cache(name: &str) -> String {
    format!("{CACHES}/{}", segment(name))
}

/// One store path of a cache, by the 32 characters of its store hash: `GET`.
pub fn path(cache_name: &str, store_hash: &str) -> String {
    format!("{}/paths/{}", cache(cache_name), segment(store_hash))
}

/// Why a store path of a cache is kept, or is not: `GET`.
pub fn path_why(cache_name: &str, store_hash: &str) -> String {
    format!("{}/why", path(cache_name, store_hash))
}

/// Deletes a store path of a cache: `POST`.
pub fn delete_path(cache_name: &str, store_hash: &str) -> String {
    format!("{}/delete", path(cache_name, store_hash))
}

/// The store paths of a cache: `GET`.
pub fn list_paths(cache_name: &str, wanted: &ListPaths) -> String {
    let ListPaths { after, limit, query } = wanted;
    let limit = limit.map(|limit| limit.to_string());
    let fields = [("after", after.as_deref()), ("limit", limit.as_deref()), ("query", query.as_deref())];
    with_query(format!("{}/paths", cache(cache_name)), fields)
}

/// Adds a signing key to a cache: `POST`.
pub fn add_key(cache_name: &str) -> String {
    format!("{}/keys", cache(cache_name))
}

/// Retires a signing key of a cache: `POST`.
pub fn retire_key(cache_name: &str) -> String {
    format!("{}/retire", add_key(cache_name))
}

/// The pins: `GET`.
pub fn list_pins(wanted: &ListPins) -> String {
    with_query(PINS.to_owned(), [("cache", wanted.cache.as_deref())])
}

/// How much there is: `GET`.
pub fn show_usage(wanted: &UsageQuery) -> String {
    let UsageQuery { by, cache, top } = wanted;
    let by = by.map(|by| match by {
        UsageBy::Storage => "storage",
        UsageBy::Cache => "cache",
        UsageBy::Age => "age",
    });
    let top = top.map(|top| top.to_string());
    with_query(USAGE.to_owned(), [("by", by), ("cache", cache.as_deref()), ("top", top.as_deref())])
}

/// Pauses a background task: `POST`, without a body.
pub fn pause_worker(name: &str) -> String {
    format!("{WORKERS}/{}/pause", segment(name))
}

/// Lets a background task go on: `POST`, without a body.
pub fn resume_worker(name: &str) -> String {
    format!("{WORKERS}/{}/resume", segment(name))
}

/// One deploy agent: `GET`.
pub fn agent(name: &str) -> String {
    format!("{AGENTS}/{}", segment(name))
}

/// One deploy workspace: `GET`.
pub fn workspace(name: &str) -> String {
    format!("{WORKSPACES}/{}", segment(name))
}

/// The deployments: `GET`.
pub fn list_deployments(wanted: &ListDeployments) -> String {
    let limit = wanted.limit.map(|limit| limit.to_string());
    let fields = [("agent", wanted.agent.as_deref()), ("limit", limit.as_deref())];
    with_query(DEPLOYMENTS.to_owned(), fields)
}

/// One deployment, by its id, as `AGENT#NUMBER`, or as `AGENT` for its newest: `GET`.
pub fn deployment(which: &str) -> String {
    format!("{DEPLOYMENTS}/{}", segment(which))
}

/// Calls a deployment off: `POST`, without a body.
pub fn cancel_deployment(which: &str) -> String {
    format!("{}/cancel", deployment(which))
}

/// The log of a deployment: `GET`.
pub fn deployment_log(which: &str, how: FollowLog) -> String {
    let follow = how.follow.map(|follow| if follow { "true" } else { "false" });
    with_query(format!("{}/log", deployment(which)), [("follow", follow)])
}

/// A record of the DHT: `GET`.
pub fn dht_record(wanted: &ReadRecord) -> String {
    with_query(format!("{DHT}/record"), [("key", Some(&wanted.key))])
}

/// Asks another node for a sign of life: `POST`, without a body.
pub fn ping_peer(node: &str) -> String {
    format!("{PEERS}/{}/ping", segment(node))
}

/// Revokes a token: `POST`, without a body.
pub fn revoke_token(id: &str) -> String {
    format!("{TOKENS}/{}/revoke", segment(id))
}

/// Stops a long job: `POST`, without a body.
pub fn stop_job(id: &str) -> String {
    format!("{JOBS}/{}/stop", segment(id))
}

/// `path` with those of `fields` that have a value, as `application/x-www-form-urlencoded`.
fn with_query<const N: usize>(mut path: String, fields: [(&str, Option<&str>); N]) -> String {
    let mut mark = '?';
    for (name, value) in fields {
        if let Some(value) = value {
            write!(path, "{mark}{name}={}", segment(value)).expect("writing to a String does not fail");
            mark = '&';
        }
    }
    path
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
