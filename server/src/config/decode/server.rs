//! `server`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::Context;
use crate::config::claims::Ports;
use crate::config::fault::Fault;
use crate::config::section::{Section, Wrong};
use crate::config::{
    DatabaseUrl, FederationConfig, KeySource, LogConfig, LogFormat, SecretSource, ServerConfig, StorageType,
    Strategy, keys, values,
};

/// Longest path of a Unix socket in bytes: `sun_path` of Linux without its final zero.
const MAX_SOCKET_PATH: usize = 107;

/// A shorter key draws a warning. HS256 wants as many bytes as its hash has (RFC 7518 section 3.2).
const MIN_KEY_LENGTH: usize = 32;

/// Reads `server` and takes the ports of its listeners.
pub fn read(section: &Section<'_>, context: &Context<'_>, ports: &mut Ports) -> ServerConfig {
    let state_dir = state_dir(section, context);
    let database = database(section, &state_dir);
    let config = ServerConfig {
        database_password_file: database_password_file(section, context, &database),
        database,
        hostname: section.read("hostname", values::host).unwrap_or_else(|| "localhost".to_owned()),
        public_url: section.read("public-url", values::server_url),
        node_url: section.read("node-url", values::node_url),
        admin_socket: admin_socket(section, context, &state_dir),
        admin_socket_mode: section.read("admin-socket-mode", values::mode).unwrap_or(0o660),
        admin_socket_group: section.read("admin-socket-group", values::group),
        server_port: listener(section, "server-port", 5000, ports),
        deploy_port: listener(section, "deploy-port", 5001, ports),
        standalone: section.read("standalone", values::truth).unwrap_or(false),
        dht_port: section.read("dht-port", values::port).unwrap_or(4222),
        dht_bind_address: section.read("dht-bind-address", values::ipv4),
        dht_public_address: section.read("dht-public-address", values::ipv4),
        dht_bootstrap_hosts: section.read_all("dht-bootstrap-host", values::host),
        dht_bootstrap_port: section.read("dht-bootstrap-port", values::port).unwrap_or(4222),
        dht_network_key_files: section.read_all("dht-network-key-file", |text| context.secret_file(text)),
        dht_max_records: section.read("dht-max-records", values::count).unwrap_or(100_000),
        federation: federation(&section.section("federation", &keys::FEDERATION)),
        key: key(section, context),
        default_retention: section.read("default-retention", values::days).unwrap_or(4),
        default_port: section.read("default-port", values::port).unwrap_or(8080),
        default_storage: section.read("default-storage", values::word).unwrap_or(StorageType::Local),
        default_storage_strategy: section
            .read("default-storage-strategy", values::word)
            .unwrap_or(Strategy::RoundRobin),
        log: log(&section.section("log", &keys::LOG)),
        drain_timeout: section.read("drain-timeout", values::duration).unwrap_or(Duration::from_secs(30)),
        upload_expiry: section
            .read("upload-expiry", values::positive_duration)
            .unwrap_or(Duration::from_secs(24 * 60 * 60)),
        gc_interval: section
            .read("gc-interval", values::interval)
            .unwrap_or(Some(Duration::from_secs(12 * 60 * 60))),
        gc_grace: section.read("gc-grace", values::duration).unwrap_or(Duration::from_secs(60 * 60)),
        deploy_timeout: section
            .read("deploy-timeout", values::positive_duration)
            .unwrap_or(Duration::from_secs(2 * 60 * 60)),
        deploy_pending_timeout: section
            .read("deploy-pending-timeout", values::positive_duration)
            .unwrap_or(Duration::from_secs(7 * 24 * 60 * 60)),
        max_connections: section.read("max-connections", values::count).unwrap_or(4096),
        narinfo_memory: section.read("narinfo-memory", values::size).unwrap_or(64 << 20),
        state_dir,
    };
    warn_of_address_without_names(section, config.public_url.as_ref());
    warn_of_network_of_one(section, &config);
    config
}

/// The port under `key`, taken for its listener.
fn listener(section: &Section<'_>, key: &str, default: u16, ports: &mut Ports) -> u16 {
    let port = section.read(key, values::port);
    if port.is_some() || !section.has(key) {
        ports.claim(section, key, port.unwrap_or(default));
    }
    port.unwrap_or(default)
}

fn state_dir(section: &Section<'_>, context: &Context<'_>) -> PathBuf {
    let default = context.env.default_state_dir(context.source);
    let stated = section.read("state-dir", values::path);
    if let Some(running_in) = &context.env.running_in {
        return running_in.clone();
    }
    match stated {
        Some(path) => values::resolve(context.directory().unwrap_or(&default), &path),
        None => default,
    }
}

fn admin_socket(section: &Section<'_>, context: &Context<'_>, state_dir: &Path) -> PathBuf {
    let socket = match section.read("admin-socket", values::path) {
        Some(path) => values::resolve(state_dir, &path),
        None => context.env.default_admin_socket(state_dir),
    };
    let length = socket.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        let message = format!("{length} bytes are too long for the path of a Unix socket");
        let place = section.place("admin-socket");
        // Who did not choose the path gets to know here why the daemon will not start.
        let fault = if section.has("admin-socket") {
            Fault::error(&place, message)
        } else {
            Fault::warning(&place, message)
        };
        section.report.add(fault.expected(format!("at most {MAX_SOCKET_PATH} bytes")));
    }
    socket
}

fn database(section: &Section<'_>, state_dir: &Path) -> DatabaseUrl {
    section
        .read("database", |text| parse_database(text, state_dir))
        .unwrap_or_else(|| DatabaseUrl::of_sqlite_file(&state_dir.join("db.sqlite")))
}

fn database_password_file(
    section: &Section<'_>,
    context: &Context<'_>,
    database: &DatabaseUrl,
) -> Option<PathBuf> {
    let key = "database-password-file";
    let file = section.read(key, |text| context.secret_file(text))?;
    match database.password() {
        (false, _) => section.error(key, "given, though `database` is a file, which has no password"),
        (true, true) => section.error(key, "given, though the URL in `database` has a password already"),
        (true, false) => {}
    }
    Some(file)
}

/// A file name, `sqlite:…`, `sqlite://…` or a PostgreSQL URL. Messages do not show the text, which may hold a password.
fn parse_database(text: &str, state_dir: &Path) -> Result<DatabaseUrl, Wrong> {
    const EXPECTED: &str = "the name of a SQLite file, `sqlite://FILE` or `postgres://USER@HOST/DATABASE`";
    let of_file = |file: &str| {
        let path = values::resolve(state_dir, &values::path(file)?);
        Ok(DatabaseUrl::of_sqlite_file(&path))
    };
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let file = rest.strip_prefix("//").unwrap_or(rest);
    match scheme {
        _ if file == ":memory:" => {
            Err(Wrong::because("would forget everything when the daemon stops", EXPECTED))
        }
        "sqlite" if file.contains('?') => {
            Err(Wrong::because("has options, which are not yours to choose", EXPECTED))
        }
        "sqlite" => of_file(file),
        "postgres" | "postgresql" => Url::parse(text)
            .map(|url| DatabaseUrl::of_postgres(&url))
            .map_err(|error| Wrong::because(format!("is no URL: {error}"), EXPECTED)),
        _ if rest.starts_with("//") => {
            Err(Wrong::because(format!("`{scheme}` is no database we know"), EXPECTED))
        }
        _ => of_file(text),
    }
}

fn key(section: &Section<'_>, context: &Context<'_>) -> KeySource {
    // The original system's default, and what its configurations say for "none".
    if section.text("key") == Some("") && !section.has("key-file") {
        section.warn("key", "is empty: a key is made and kept in the state directory");
        return KeySource::Generated;
    }
    match section.secret("key", "key-file", |text| context.secret_file(text)) {
        Some(SecretSource::Inline(key)) => {
            if key.expose().len() < MIN_KEY_LENGTH {
                let message = "is short enough to be guessed, and with it every token can be forged";
                let fault = Fault::warning(&section.place("key"), message)
                    .expected(format!("at least {MIN_KEY_LENGTH} characters"))
                    .suggest("make one with `openssl rand -hex 32`");
                section.report.add(fault);
            }
            KeySource::Inline(key)
        }
        Some(SecretSource::File(path)) => KeySource::File(path),
        None => KeySource::Generated,
    }
}

fn federation(section: &Section<'_>) -> FederationConfig {
    let lookup_timeout = section.read("lookup-timeout", values::positive_duration);
    FederationConfig { lookup_timeout: lookup_timeout.unwrap_or(Duration::from_millis(400)) }
}

fn log(section: &Section<'_>) -> LogConfig {
    LogConfig {
        filter: section.read("filter", values::log_filter).unwrap_or_else(|| "info".to_owned()),
        format: section.read("format", values::word).unwrap_or(LogFormat::Text),
    }
}

/// Caches are reached as `NAME.HOST`, and an address has no names below it.
fn warn_of_address_without_names(section: &Section<'_>, public_url: Option<&Url>) {
    let host = public_url.and_then(Url::host);
    if matches!(host, Some(url::Host::Ipv4(_) | url::Host::Ipv6(_))) {
        let message = "is an address, so clients cannot reach caches as `NAME.HOST`";
        let fault = Fault::warning(&section.place("public-url"), message);
        section.report.add(fault.suggest("use a host name, or leave `public-url` out"));
    }
}

/// Without a key that others have too, nodes cannot read each other's records.
fn warn_of_network_of_one(section: &Section<'_>, config: &ServerConfig) {
    let alone = config.key == KeySource::Generated && config.dht_network_key_files.is_empty();
    if !config.standalone && !config.dht_bootstrap_hosts.is_empty() && alone {
        let message = "a node with a generated key shares no network with the others";
        let fault = Fault::warning(&section.place("dht-bootstrap-host"), message);
        section.report.add(fault.suggest("give all nodes the same `dht-network-key-file` or `key`"));
    }
}
