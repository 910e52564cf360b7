//! Checks beyond the file itself: secrets, directories and ports on this machine.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

use nix_formats::SigningKey;
use rustix::fs::{Access, AtFlags, CWD};
use url::{Host, Url};

use super::fault::Fault;
use super::group::{find_group, may_give_to};
use super::load::{Lines, Loaded};
use super::secret::{SHORTEST_KEY, SecretSource, is_world_readable};
use super::{CacheConfig, Config, SigningMode, StorageKind};
use crate::chain::chain;
use crate::state_dir::{HAS_SERVED, is_claimed};
use crate::tls::{self, Files, Identity};

/// How far a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only the file. Right on a machine other than the daemon's, such as the one that builds the system.
    Offline,
    /// Also whether this machine and this user can provide what the file asks for.
    Online,
}

/// Returns every fault of a configuration that loads, in the order of the file. Changes nothing; blocks on the file system
/// and the resolver when online.
pub fn check(loaded: &Loaded, reach: Reach) -> Vec<Fault> {
    let mut faults = loaded.warnings.clone();
    let Loaded { config, lines, name, .. } = loaded;
    let mut probe = Probe { config, lines, name, faults: Vec::new() };
    probe.agents();
    probe.admin_socket_mode();
    probe.plain_http();
    probe.upstream_keys();
    if reach == Reach::Online {
        probe.secrets();
        probe.signing_keys();
        probe.tls();
        probe.directories();
        probe.admin_group();
        let is_running = is_claimed(&loaded.config.server.state_dir);
        probe.admin_socket(is_running);
        probe.ports(is_running);
    }
    faults.extend(probe.faults);
    faults.sort_by_key(|fault| fault.line);
    faults
}

/// Every secret of a configuration with its key. Signing keys are not among them: they are always files.
pub fn secrets(config: &Config) -> Vec<(String, SecretSource)> {
    let mut secrets = Vec::new();
    let mut add = |key: String, file_suffix: &str, source: Option<SecretSource>| match source {
        Some(inline @ SecretSource::Inline(_)) => secrets.push((key, inline)),
        Some(file @ SecretSource::File(_)) => secrets.push((key + file_suffix, file)),
        None => {}
    };
    let server = &config.server;
    add("server.key".to_owned(), "-file", server.key.given());
    let password = server.database_password_file.clone().map(SecretSource::File);
    add("server.database-password".to_owned(), "-file", password);
    add("server.metrics-token".to_owned(), "-file", server.metrics_token.clone());
    for file in &server.dht_network_key_files {
        add("server.dht-network-key".to_owned(), "-file", Some(SecretSource::File(file.clone())));
    }
    for (i, cache) in config.caches.iter().enumerate() {
        for (j, upstream) in cache.upstreams.iter().enumerate() {
            for (key, file) in upstream.credentials.files() {
                let key = format!("caches[{i}].upstreams[{j}].{key}");
                add(key, "", Some(SecretSource::File(file.clone())));
            }
        }
        for (j, storage) in cache.storages.iter().enumerate() {
            if let StorageKind::S3(s3) = &storage.kind {
                let path = format!("caches[{i}].storages[{j}]");
                add(format!("{path}.s3_access_key"), "_file", s3.access_key.clone());
                add(format!("{path}.s3_secret_key"), "_file", s3.secret_key.clone());
            }
        }
    }
    secrets
}

struct Probe<'c> {
    config: &'c Config,
    lines: &'c Lines,
    /// The file, as it was named.
    name: &'c Path,
    faults: Vec<Fault>,
}

impl Probe<'_> {
    fn fault(&self, path: &str, message: impl Into<String>) -> Fault {
        Fault::error(&self.lines.place(path), message)
    }

    fn error(&mut self, path: &str, message: impl Into<String>) {
        let fault = self.fault(path, message);
        self.add(fault);
    }

    fn warn(&mut self, path: &str, message: impl Into<String>) {
        let fault = Fault::warning(&self.lines.place(path), message);
        self.add(fault);
    }

    fn add(&mut self, mut fault: Fault) {
        fault.file = Some(self.name.to_owned());
        self.faults.push(fault);
    }

    /// Warns of workspaces whose cache has no signing key yet: agents trust a key of the cache.
    fn agents(&mut self) {
        for (index, cache) in self.config.caches.iter().enumerate() {
            let is_used = self.config.workspaces.iter().any(|workspace| workspace.cache == cache.name);
            if is_used && cache.signing == SigningMode::Client {
                let message = format!(
                    "agents fetch from `{}` and cannot verify anything there until a client registers its key",
                    cache.name.as_str()
                );
                let fault = Fault::warning(&self.lines.place(&format!("caches[{index}].signing")), message);
                let advice = format!(
                    "run `cachix generate-keypair {}` once, before the first push",
                    cache.name.as_str()
                );
                self.add(fault.suggest(advice));
            }
        }
    }

    /// Warns of an admin socket that is open to all users of the machine.
    fn admin_socket_mode(&mut self) {
        let server = &self.config.server;
        if server.admin_socket_mode & 0o007 != 0 {
            let mode = format!("{:04o}", server.admin_socket_mode);
            let message = format!("{mode} lets every user of this machine do everything with the daemon");
            let fault = Fault::warning(&self.lines.place("server.admin-socket-mode"), message);
            self.add(fault.suggest("use 0660, and `admin-socket-group` for the users who may"));
        }
    }

    /// Warns of tokens that travel unencrypted: whoever sees one can use it.
    fn plain_http(&mut self) {
        let server = &self.config.server;
        for (i, cache) in self.config.caches.iter().enumerate() {
            for (j, upstream) in cache.upstreams.iter().enumerate() {
                let has_secret = !upstream.is_bucket() && upstream.credentials.files().next().is_some();
                if has_secret && is_plain_to_others(&upstream.url) {
                    let message = format!("{} is not encrypted, and gets the credentials", upstream.url);
                    let place = self.lines.place(&format!("caches[{i}].upstreams[{j}].url"));
                    self.add(Fault::warning(&place, message).suggest("use `https://`"));
                }
            }
        }
        if let Some(url) = server.public_url.as_ref().filter(|url| is_plain_to_others(url)) {
            let message = format!("{url} is not encrypted, and clients send their tokens to it");
            let fault = Fault::warning(&self.lines.place("server.public-url"), message);
            self.add(
                fault.suggest(
                    "give the daemon a certificate (`server.tls`) or put a web server with HTTPS in front of it, and write `https://`",
                ),
            );
        }
    }

    /// Warns of upstreams from which hardly anything can be accepted, as no key vouches for them.
    fn upstream_keys(&mut self) {
        for (i, cache) in self.config.caches.iter().enumerate() {
            // The key in a file may be that of the upstream.
            if !cache.trusted_public_keys.is_empty() || !cache.signing_key_files.is_empty() {
                continue;
            }
            for (j, upstream) in cache.upstreams.iter().enumerate() {
                if !upstream.public_keys.is_empty() || upstream.is_nixos() {
                    continue;
                }
                let place = self.lines.place(&format!("caches[{i}].upstreams[{j}]"));
                let message = "has no public key, so its paths are not accepted";
                let advice = "write the key behind the URL (`https://HOST NAME:BASE64`), or list it in `trusted-public-keys`";
                self.add(Fault::warning(&place, message).suggest(advice));
            }
        }
    }

    fn secrets(&mut self) {
        for (key, source) in secrets(self.config) {
            if let SecretSource::File(path) = &source {
                match source.resolve() {
                    Ok(secret) if key == "server.key-file" && secret.expose().len() < SHORTEST_KEY => {
                        let message =
                            format!("{} holds fewer than {SHORTEST_KEY} characters", path.display());
                        let fault = self.fault(&key, message);
                        self.add(fault.suggest("make a key with `openssl rand -hex 32`"));
                    }
                    Ok(_) => self.warn_if_exposed(&key, path),
                    Err(error) => self.error(&key, error.to_string()),
                }
            }
        }
    }

    fn warn_if_exposed(&mut self, key: &str, path: &Path) {
        if is_world_readable(path) {
            let message = format!("every user can read {}", path.display());
            let fault = Fault::warning(&self.lines.place(key), message);
            self.add(fault.suggest("give it mode 0600 or 0640"));
        }
    }

    fn signing_keys(&mut self) {
        for (index, cache) in self.config.caches.iter().enumerate() {
            self.signing_keys_of(index, cache);
        }
    }

    fn signing_keys_of(&mut self, index: usize, cache: &CacheConfig) {
        let key = format!("caches[{index}].signing-key-file");
        let mut names: Vec<String> = Vec::new();
        for path in &cache.signing_key_files {
            let text = match SecretSource::File(path.clone()).resolve() {
                Ok(text) => text,
                Err(error) => {
                    self.error(&key, error.to_string());
                    continue;
                }
            };
            self.warn_if_exposed(&key, path);
            match SigningKey::parse(text.expose().trim()) {
                Err(error) => {
                    let message = format!("{} is not a signing key of Nix: {error}", path.display());
                    self.error(&key, message);
                }
                // Nix knows one key per name, so the signatures of one of the two would never be accepted.
                Ok(signing_key) if names.iter().any(|name| name == signing_key.name()) => {
                    let message = format!("two keys have the name `{}`", signing_key.name());
                    self.error(&key, message);
                }
                Ok(signing_key) => names.push(signing_key.name().to_owned()),
            }
        }
    }

    /// Certificates can be read and belong to their keys.
    fn tls(&mut self) {
        let config = self.config;
        self.identity("server.tls", config.server.tls.files());
        for (index, cache) in config.caches.iter().enumerate() {
            self.identity(&format!("caches[{index}].tls"), cache.tls.files());
        }
        let trusted = [
            ("server.tls.client-authorities", &config.server.tls.client_authorities),
            ("server.trusted-authorities", &config.server.trusted_authorities),
        ];
        for (key, files) in trusted {
            if let Err(error) = tls::trust(files) {
                self.error(key, chain(&error));
            }
        }
    }

    fn identity(&mut self, key: &str, files: Option<Files>) {
        let Some(files) = files else { return };
        if let Err(error) = Identity::read(&files) {
            self.error(&format!("{key}.certificate"), chain(&error));
        }
        self.warn_if_exposed(&format!("{key}.key"), &files.key);
    }

    fn directories(&mut self) {
        let server = &self.config.server;
        let has_state = self.writable("server.state-dir", &server.state_dir);
        // What is below an unusable state directory is the same fault.
        let is_named = |directory: &Path| !has_state && directory.starts_with(&server.state_dir);
        if let Some(directory) = server.admin_socket.parent().filter(|directory| !is_named(directory)) {
            self.writable("server.admin-socket", directory);
        }
        for (i, cache) in self.config.caches.iter().enumerate() {
            for (j, storage) in cache.storages.iter().enumerate() {
                if let StorageKind::Local { root } = &storage.kind
                    && !is_named(root)
                {
                    self.writable(&format!("caches[{i}].storages[{j}].root"), root);
                }
            }
        }
    }

    /// The directory exists or can be made, and files can be made in it. Returns whether that is so.
    fn writable(&mut self, key: &str, directory: &Path) -> bool {
        let Some((existing, metadata)) = nearest_existing(directory) else {
            return true;
        };
        let shown = directory.display();
        if !metadata.is_dir() {
            let reason = match existing == directory {
                true => "it is a file, not a directory".to_owned(),
                false => format!("{} is not a directory", existing.display()),
            };
            self.error(key, format!("{shown}: {reason}"));
            return false;
        }
        let access = Access::WRITE_OK | Access::EXEC_OK;
        if let Err(error) = rustix::fs::accessat(CWD, &existing, access, AtFlags::EACCESS) {
            let existing = existing.display();
            self.error(key, format!("{shown}: cannot write to {existing}: {error}"));
            return false;
        }
        true
    }

    /// The group of the admin socket exists, and the socket can be given to it.
    fn admin_group(&mut self) {
        const KEY: &str = "server.admin-socket-group";
        let Some(group) = &self.config.server.admin_socket_group else { return };
        match find_group(group) {
            Ok(gid) if may_give_to(gid) => {}
            // The daemon may well run as another user than this.
            Ok(_) => self.warn(
                KEY,
                format!("this user is not a member of `{group}`; the user of the daemon has to be one"),
            ),
            Err(error) => self.error(KEY, error.to_string()),
        }
    }

    /// The admin socket can be made where it is to be: the name fits, and no other daemon has it.
    fn admin_socket(&mut self, is_running: bool) {
        const KEY: &str = "server.admin-socket";
        let socket = &self.config.server.admin_socket;
        if SocketAddr::from_pathname(socket).is_err() {
            let message = format!("{} is too long for the name of a socket", socket.display());
            let fault =
                self.fault(KEY, message).suggest("the system allows 107 bytes: choose a shorter directory");
            self.add(fault);
        } else if !is_running && UnixStream::connect(socket).is_ok() {
            self.error(KEY, format!("another daemon listens on {}", socket.display()));
        }
    }

    fn ports(&mut self, is_running: bool) {
        let server = &self.config.server;
        if let Err((message, remedy)) = listenable(&server.hostname) {
            let fault = self.fault("server.hostname", message).suggest(remedy);
            self.add(fault);
            return;
        }
        self.api_port(is_running);
        self.bindable("server.deploy-port", server.deploy_port);
        if !server.standalone {
            let address = (server.dht_address(), server.dht_port);
            match UdpSocket::bind(address) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                    let message = format!("`{}` is not an address of this machine", address.0);
                    self.error("server.dht-bind-address", message);
                }
                Err(error) => {
                    self.not_bindable("server.dht-port", &address.0.to_string(), address.1, &error);
                }
            }
        }
        if let Some(address) = server.metrics_address
            && let Err(error) = TcpListener::bind(address)
        {
            self.not_bindable("server.metrics-address", &address.ip().to_string(), address.port(), &error);
        }
        for (index, cache) in self.config.caches.iter().enumerate() {
            if let (true, Some(port)) = (cache.enabled, cache.port) {
                self.bindable(&format!("caches[{index}].port"), port);
            }
        }
    }

    /// The one port without which a first start fails. Later ones go on without it, as long as there is another.
    fn api_port(&mut self, is_running: bool) {
        const KEY: &str = "server.server-port";
        let server = &self.config.server;
        let (hostname, port) = (server.hostname.as_str(), server.server_port);
        let Err(error) = TcpListener::bind((hostname, port)) else { return };
        let starts_without = || {
            let others =
                self.config.caches.iter().filter(|cache| cache.enabled).filter_map(|cache| cache.port);
            let mut others = others.chain([server.deploy_port]).filter(|other| *other != port);
            server.state_dir.join(HAS_SERVED).exists()
                && others.any(|other| TcpListener::bind((hostname, other)).is_ok())
        };
        if is_running || starts_without() {
            self.not_bindable(KEY, hostname, port, &error);
            return;
        }
        let (message, remedy) = match error.kind() {
            ErrorKind::AddrInUse => (
                format!("{port} is in use on {hostname} by another program"),
                "stop that program, or choose another port",
            ),
            ErrorKind::PermissionDenied => (
                format!("this user may not listen on {port}"),
                "grant CAP_NET_BIND_SERVICE, or choose a port from 1024 on",
            ),
            _ => (format!("cannot listen on {hostname}, port {port}: {error}"), "choose another port"),
        };
        let fault = self.fault(KEY, message).suggest(remedy);
        self.add(fault);
    }

    fn bindable(&mut self, key: &str, port: u16) {
        let hostname = self.config.server.hostname.as_str();
        if let Err(error) = TcpListener::bind((hostname, port)) {
            self.not_bindable(key, hostname, port, &error);
        }
    }

    fn not_bindable(&mut self, key: &str, hostname: &str, port: u16, error: &io::Error) {
        match error.kind() {
            ErrorKind::AddrInUse => {
                self.warn(key, format!("{port} is in use on {hostname}, perhaps by the running daemon"));
            }
            _ => self.warn(key, format!("cannot listen on {hostname}, port {port}: {error}")),
        }
    }
}

/// Whether the URL is one of plain HTTP to another host.
fn is_plain_to_others(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    };
    url.scheme() == "http" && !is_here
}

/// Whether a daemon on this machine can listen on some address of `hostname`; else what is wrong and what to do.
fn listenable(hostname: &str) -> Result<(), (String, &'static str)> {
    const REMEDY: &str = "give an address of this machine, or `0.0.0.0` for all of them";
    let addresses: Vec<_> = match (hostname, 0).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => return Err((format!("`{hostname}` cannot be resolved: {error}"), REMEDY)),
    };
    // Port 0 is never taken and needs no privilege.
    if !addresses.iter().any(|address| TcpListener::bind(address).is_ok()) {
        return Err((format!("`{hostname}` is not an address of this machine"), REMEDY));
    }
    Ok(())
}

/// The path itself or the nearest of its parents that exists.
fn nearest_existing(path: &Path) -> Option<(PathBuf, Metadata)> {
    path.ancestors().find_map(|ancestor| {
        let metadata = ancestor.metadata().ok()?;
        Some((ancestor.to_owned(), metadata))
    })
}
