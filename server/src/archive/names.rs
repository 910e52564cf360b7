//! The names of what a backup holds.

/// The catalog, as a SQLite file.
pub const CATALOG: &str = "catalog.sqlite";
/// The server key.
pub const SERVER_KEY: &str = "server.key";
/// The key of the node in the network.
pub const NODE_KEY: &str = "node.key";
/// The configuration.
pub const CONFIG: &str = "config.yaml";
/// The folder of the signing keys of the state directory.
pub const KEYS: &str = "keys";
/// The folder of the signing keys that the configuration names.
pub const CONFIGURED_KEYS: &str = "configured-keys";

/// The signing key that the configuration names as the `number`th one of a cache, counted from 0.
pub fn configured_key(cache: &str, number: usize) -> String {
    format!("{CONFIGURED_KEYS}/{cache}.{number}.secret")
}
