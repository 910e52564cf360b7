//! Writing a configuration out with every key, secrets masked.

use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::secret::{MASK, SecretSource};
use super::values::format_size;
use super::{
    AgentConfig, CacheConfig, CacheFederation, Config, FederationConfig, LogConfig, ServerConfig,
    StorageConfig, StorageKind, WorkspaceConfig,
};

/// The configuration as YAML with every key. Keys that have no value are `null`, which loads as if they were absent;
/// secrets are `***`. Apart from those it loads as the same configuration on the same machine.
pub fn print_config(config: &Config) -> String {
    let file = mapping([
        ("server", server(&config.server)),
        ("caches", list(&config.caches, cache)),
        ("workspaces", list(&config.workspaces, workspace)),
        ("agents", list(&config.agents, agent)),
    ]);
    serde_yaml::to_string(&file).expect("a tree of texts and numbers can be written as YAML")
}

fn server(server: &ServerConfig) -> Value {
    let (key, key_file) = secret(server.key.given().as_ref());
    let seconds = |duration| text(humantime::format_duration(duration));
    mapping([
        ("hostname", text(&server.hostname)),
        ("server-port", server.server_port.into()),
        ("deploy-port", server.deploy_port.into()),
        ("public-url", optional(server.public_url.as_ref(), text)),
        ("node-url", optional(server.node_url.as_ref(), text)),
        ("database", text(&server.database)),
        ("database-password-file", optional(server.database_password_file.as_ref(), |file| path(file))),
        ("state-dir", path(&server.state_dir)),
        ("admin-socket", path(&server.admin_socket)),
        ("admin-socket-mode", text(format!("{:04o}", server.admin_socket_mode))),
        ("admin-socket-group", optional(server.admin_socket_group.as_ref(), text)),
        ("key", key),
        ("key-file", key_file),
        ("default-port", server.default_port.into()),
        ("default-retention", server.default_retention.into()),
        ("default-storage", text(server.default_storage)),
        ("default-storage-strategy", text(server.default_storage_strategy)),
        ("log", log(&server.log)),
        ("drain-timeout", seconds(server.drain_timeout)),
        ("upload-expiry", seconds(server.upload_expiry)),
        ("gc-interval", server.gc_interval.map_or_else(|| text("off"), seconds)),
        ("gc-grace", seconds(server.gc_grace)),
        ("deploy-timeout", seconds(server.deploy_timeout)),
        ("deploy-pending-timeout", seconds(server.deploy_pending_timeout)),
        ("max-connections", server.max_connections.into()),
        ("narinfo-memory", text(format_size(server.narinfo_memory))),
        ("standalone", server.standalone.into()),
        ("dht-port", server.dht_port.into()),
        ("dht-bind-address", optional(server.dht_bind_address, text)),
        ("dht-public-address", optional(server.dht_public_address, text)),
        ("dht-bootstrap-host", list(&server.dht_bootstrap_hosts, text)),
        ("dht-bootstrap-port", server.dht_bootstrap_port.into()),
        ("dht-network-key-file", list(&server.dht_network_key_files, |file| path(file))),
        ("dht-max-records", server.dht_max_records.into()),
        ("federation", federation(&server.federation)),
    ])
}

fn federation(federation: &FederationConfig) -> Value {
    mapping([("lookup-timeout", text(humantime::format_duration(federation.lookup_timeout)))])
}

fn log(log: &LogConfig) -> Value {
    mapping([("filter", text(&log.filter)), ("format", text(log.format))])
}

fn cache(cache: &CacheConfig) -> Value {
    mapping([
        ("name", text(&cache.name)),
        ("enabled", cache.enabled.into()),
        ("access", text(cache.access)),
        ("retention", cache.retention.into()),
        ("port", optional(cache.port, Value::from)),
        ("priority", cache.priority.into()),
        ("compression", text(cache.compression)),
        ("signing", text(cache.signing)),
        ("signing-key-file", list(&cache.signing_key_files, |file| path(file))),
        ("trusted-public-keys", list(&cache.trusted_public_keys, text)),
        ("upstreams", list(&cache.upstreams, text)),
        ("federation", cache_federation(&cache.federation)),
        ("storage-strategy", text(cache.storage_strategy)),
        ("storages", list(&cache.storages, storage)),
    ])
}

fn cache_federation(federation: &CacheFederation) -> Value {
    mapping([
        ("keep", federation.keep.into()),
        ("keep-max-size", optional(federation.keep_max_size.map(format_size), text)),
    ])
}

fn storage(storage: &StorageConfig) -> Value {
    let common = [
        ("name", text(&storage.name)),
        ("type", text(storage.kind.storage_type())),
        ("split", optional(storage.split, Value::from)),
        ("max-size", optional(storage.max_size.map(format_size), text)),
        ("draining", storage.draining.into()),
    ];
    mapping(common.into_iter().chain(location(&storage.kind)))
}

fn location(kind: &StorageKind) -> Vec<(&'static str, Value)> {
    match kind {
        StorageKind::Local { root } => vec![("root", path(root))],
        StorageKind::S3(s3) => {
            let (access_key, access_key_file) = secret(s3.access_key.as_ref());
            let (secret_key, secret_key_file) = secret(s3.secret_key.as_ref());
            let root = Some(&s3.root).filter(|root| !root.is_empty());
            vec![
                ("root", optional(root, text)),
                ("s3_bucket", text(&s3.bucket)),
                ("s3_region", text(&s3.region)),
                ("s3_endpoint", optional(s3.endpoint.as_ref(), text)),
                ("s3_force_path_style", s3.force_path_style.into()),
                ("s3_redirect", s3.redirect.into()),
                ("s3_access_key", access_key),
                ("s3_access_key_file", access_key_file),
                ("s3_secret_key", secret_key),
                ("s3_secret_key_file", secret_key_file),
            ]
        }
    }
}

fn workspace(workspace: &WorkspaceConfig) -> Value {
    mapping([("name", text(&workspace.name)), ("cache", text(&workspace.cache))])
}

fn agent(agent: &AgentConfig) -> Value {
    mapping([("name", text(&agent.name)), ("workspace", text(&agent.workspace))])
}

/// The values of a secret's own key and of the key for its file.
fn secret(source: Option<&SecretSource>) -> (Value, Value) {
    match source {
        Some(SecretSource::Inline(_)) => (text(MASK), Value::Null),
        Some(SecretSource::File(file)) => (Value::Null, path(file)),
        None => (Value::Null, Value::Null),
    }
}

fn mapping(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let entries = entries.into_iter();
    Value::Mapping(entries.map(|(key, value)| (key.into(), value)).collect::<Mapping>())
}

fn list<'a, T: 'a>(items: impl IntoIterator<Item = &'a T>, value: impl Fn(&'a T) -> Value) -> Value {
    Value::Sequence(items.into_iter().map(value).collect())
}

fn optional<T>(value: Option<T>, write: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, write)
}

fn text(value: impl ToString) -> Value {
    Value::String(value.to_string())
}

fn path(path: &Path) -> Value {
    text(path.display())
}
