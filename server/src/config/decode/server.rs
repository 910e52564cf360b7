//! `server`.

use std::path::{Path, PathBuf};

use url::Url;

use super::Context;
use crate::config::claims::Ports;
use crate::config::fault::Fault;
use crate::config::section::Section;
use crate::config::{Environment, KeySource, SHORTEST_KEY, ServerConfig, keys, values};

/// Longest path of a Unix socket in bytes: `sun_path` of Linux without its final zero.
const MAX_SOCKET_PATH: usize = 107;

/// The state directory. It is read before everything else, because the paths of other keys begin there.
pub fn state_dir(section: &Section<'_>, source: Option<&Path>, env: &Environment) -> PathBuf {
    let default = env.default_state_dir(source);
    let stated = section.read("state-dir", values::path);
    if let Some(running_in) = &env.running_in {
        return running_in.clone();
    }
    match stated {
        Some(path) => values::resolve(source.and_then(Path::parent).unwrap_or(&default), &path),
        None => default,
    }
}

/// Reads `server` and takes the ports of its listeners.
pub fn read(section: &Section<'_>, context: &Context<'_>, ports: &mut Ports) -> ServerConfig {
    let mut server = ServerConfig {
        state_dir: context.state_dir.clone(),
        admin_socket: context.env.default_admin_socket(&context.state_dir),
        ..ServerConfig::default()
    };
    keys::SERVER.read(section, context, &mut server);
    for (key, port) in [("server-port", server.server_port), ("deploy-port", server.deploy_port)] {
        if !section.is_wrong(key) {
            ports.claim(section, key, port);
        }
    }
    if let Some(address) = server.metrics_address {
        ports.claim(section, "metrics-address", address.port());
    }
    check_admin_socket(section, &server.admin_socket);
    check_database_password(section, &server);
    warn_of_short_key(section, &server.key);
    warn_of_address_without_names(section, server.public_url.as_ref());
    warn_of_network_of_one(section, &server);
    check_tls(section, &server);
    server
}

fn check_tls(section: &Section<'_>, server: &ServerConfig) {
    let tls = section.section_again("tls", &keys::SERVER_TLS);
    expect_both(&tls);
    if !server.tls.client_authorities.is_empty() && server.tls.certificate.is_none() {
        tls.warn("client-authorities", "has no effect without `certificate` and `key`");
    }
}

/// A certificate is of no use without its key, nor a key without its certificate.
pub fn expect_both(tls: &Section<'_>) {
    for (given, missing) in [("certificate", "key"), ("key", "certificate")] {
        if tls.has(given) && !tls.has(missing) {
            tls.error(given, format!("is given without `{missing}`"));
        }
    }
}

fn check_admin_socket(section: &Section<'_>, socket: &Path) {
    let length = socket.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        let message = format!("{length} bytes are too long for the path of a Unix socket");
        let place = section.place("admin-socket");
        // A person who did not choose the path learns here why the daemon will not start.
        let fault = if section.has("admin-socket") {
            Fault::error(&place, message)
        } else {
            Fault::warning(&place, message)
        };
        section.report.add(fault.expected(format!("at most {MAX_SOCKET_PATH} bytes")));
    }
}

fn check_database_password(section: &Section<'_>, server: &ServerConfig) {
    const KEY: &str = "database-password-file";
    if server.database_password_file.is_none() {
        return;
    }
    match server.database.password() {
        (false, _) => section.error(KEY, "is given, but `database` is a file, which has no password"),
        (true, true) => section.error(KEY, "is given, but the URL in `database` already has a password"),
        (true, false) => {}
    }
}

fn warn_of_short_key(section: &Section<'_>, key: &KeySource) {
    if key.too_short().is_some() {
        let message = "is short enough to guess, so it signs no tokens: the daemon makes a key for them and keeps it in the \
                       state directory";
        let fault = Fault::warning(&section.place("key"), message)
            .expected(format!("at least {SHORTEST_KEY} characters"))
            .suggest("make one with `openssl rand -hex 32`");
        section.report.add(fault);
    }
}

/// Clients reach caches as `NAME.HOST`, and an address has no names below it.
fn warn_of_address_without_names(section: &Section<'_>, public_url: Option<&Url>) {
    let host = public_url.and_then(Url::host);
    if matches!(host, Some(url::Host::Ipv4(_) | url::Host::Ipv6(_))) {
        let message = "is an address, so clients cannot reach caches as `NAME.HOST`";
        let fault = Fault::warning(&section.place("public-url"), message);
        section.report.add(fault.suggest("use a host name, or leave `public-url` out"));
    }
}

/// Nodes cannot read each other's records unless they share a key.
fn warn_of_network_of_one(section: &Section<'_>, config: &ServerConfig) {
    let alone = config.key == KeySource::Generated && config.dht_network_key_files.is_empty();
    if !config.standalone && !config.dht_bootstrap_hosts.is_empty() && alone {
        let message = "a node with a generated key cannot join the network of other nodes";
        let fault = Fault::warning(&section.place("dht-bootstrap-host"), message);
        section.report.add(fault.suggest("give all nodes the same `dht-network-key-file` or `key`"));
    }
}
