//! A whole installation in a temporary directory: config, state, storage, a running daemon and tokens for it.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::daemon::{DAEMON, Daemon, cachectl};
use super::{Endpoint, Pusher, SOON, ports, wait_for, wait_unless};

/// The host part of `public-url`, HOST in the protocol reference.
pub const HOST: &str = "cachix.test";

/// The file in the directory of a [`Site::mortal`] that names the fail point at which its daemon dies.
pub const DIE_AT: &str = "die-at";

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    Read,
    Write,
    Admin,
}

impl Permission {
    fn name(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::Write => "write",
            Permission::Admin => "admin",
        }
    }
}

/// Makes the command that runs the daemon in the given directory; its arguments are added to it.
type Launcher = Box<dyn Fn(&Path) -> Command + Send + Sync>;

/// One daemon and all that belongs to it. The directory goes away with it.
pub struct Site {
    daemon: Daemon,
    launcher: Launcher,
    ports: HashMap<String, u16>,
    tokens: Mutex<HashMap<(String, Permission), String>>,
    directory: TempDir,
}

impl Site {
    /// A daemon with four caches: `pub` and `my-cache-2` (public), `priv` (private) and `self` (public, meant for
    /// clients that sign by themselves).
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// [`Self::start`] with changes to the config, which is given as JSON (and so as YAML).
    pub fn with(edit: impl Fn(&mut Value)) -> Self {
        Self::with_files(|config, _| edit(config))
    }

    /// [`Self::with`] that is also told the directory, for files that the config names.
    pub fn with_files(edit: impl Fn(&mut Value, &Path)) -> Self {
        Self::launched(edit, |_| {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            command
        })
    }

    /// [`Self::with_files`], with a daemon that dies at the fail point that the file [`DIE_AT`] names when it starts, if there is one.
    pub fn mortal(edit: impl Fn(&mut Value, &Path)) -> Self {
        Self::launched(edit, |directory| {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            if let Ok(step) = fs::read_to_string(directory.join(DIE_AT)) {
                command.env("CACHE_SERVER_DIE_AT", step);
            }
            command
        })
    }

    /// [`Self::with_files`], started by another command than the daemon alone.
    pub fn launched(
        edit: impl Fn(&mut Value, &Path),
        launcher: impl Fn(&Path) -> Command + Send + Sync + 'static,
    ) -> Self {
        let directory = tempfile::Builder::new().prefix("cache-server-test-").tempdir().unwrap();
        fs::create_dir(directory.path().join("home")).unwrap();
        let launcher: Launcher = Box::new(launcher);
        // A port that was free may be taken by the time the daemon binds it, so a second try is fair.
        for _ in 0..5 {
            let (mut config, mut ports) = config(directory.path());
            edit(&mut config, directory.path());
            ports.insert("api".to_owned(), config["server"]["server-port"].as_u64().unwrap() as u16);
            fs::write(directory.path().join("config.yaml"), serde_json::to_string_pretty(&config).unwrap())
                .unwrap();
            let mut daemon = spawn(directory.path(), &launcher);
            if until_ready(&mut daemon, ports["api"], directory.path()) && !lacks_a_port(&daemon, &ports) {
                return Self { daemon, launcher, ports, tokens: Mutex::default(), directory };
            }
            let log = daemon.log();
            assert!(log.to_lowercase().contains("in use"), "the daemon ended at once:\n{log}");
        }
        panic!("no free ports");
    }

    /// The API as clients know it: HOST on `server-port`.
    pub fn api(&self) -> Endpoint {
        self.on_host(HOST)
    }

    /// `server-port`, asked for by any name.
    pub fn on_host(&self, host: &str) -> Endpoint {
        Endpoint { address: self.address("api"), host: host.to_owned() }
    }

    /// NAME.HOST on `server-port`: the cache as Nix knows it.
    pub fn cache(&self, name: &str) -> Endpoint {
        self.on_host(&format!("{name}.{HOST}"))
    }

    /// The cache's own port.
    pub fn cache_port(&self, name: &str) -> Endpoint {
        let address = self.address(name);
        Endpoint { address, host: address.to_string() }
    }

    /// The port for `api`, `deploy` or the cache of that name.
    pub fn port(&self, name: &str) -> u16 {
        self.ports[name]
    }

    fn address(&self, name: &str) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port(name)).into()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn state_dir(&self) -> PathBuf {
        self.directory().join("state")
    }

    /// What the storage of a cache holds: a flat binary cache.
    pub fn storage_dir(&self, cache: &str) -> PathBuf {
        self.directory().join("storage").join(cache)
    }

    /// Runs `cachectl --socket SOCKET ARGUMENTS`.
    pub fn cachectl(&self, arguments: &[&str]) -> Output {
        self.cachectl_command(arguments).output().unwrap()
    }

    /// Starts `cachectl --socket SOCKET ARGUMENTS`, for what takes its time. Its output is kept for `wait_with_output`.
    pub fn start_cachectl(&self, arguments: &[&str]) -> Child {
        let mut command = self.cachectl_command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn cachectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cachectl());
        command.env_clear().env("HOME", self.directory().join("home"));
        command.arg("--socket").arg(self.directory().join("admin.sock")).args(arguments);
        command
    }

    /// What `cachectl ARGUMENTS` prints, provided that it succeeds.
    #[track_caller]
    pub fn cachectl_ok(&self, arguments: &[&str]) -> String {
        let output = self.cachectl(arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cachectl {arguments:?}: {}\n{complaint}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// A token for one cache, made on first use.
    #[track_caller]
    pub fn token(&self, cache: &str, permission: Permission) -> String {
        let mut tokens = self.tokens.lock().unwrap();
        let create = || self.create_token(&["--cache", cache, "--permission", permission.name()]);
        tokens.entry((cache.to_owned(), permission)).or_insert_with(create).clone()
    }

    /// Makes new tokens for this cache from now on: it was deleted, and with it went those it had.
    pub fn forget_tokens(&self, cache: &str) {
        self.tokens.lock().unwrap().retain(|(name, _), _| name != cache);
    }

    /// The token that `cachectl token create ARGUMENTS` prints.
    #[track_caller]
    pub fn create_token(&self, arguments: &[&str]) -> String {
        let output = self.cachectl_ok(&[&["token", "create"], arguments].concat());
        let token = output.strip_suffix('\n').expect("one line");
        assert!(
            !token.is_empty() && !token.contains(char::is_whitespace),
            "the token and nothing else: {output:?}"
        );
        token.to_owned()
    }

    /// Pushes to a cache as the client does, with a write token.
    pub fn pusher(&self, cache: &str) -> Pusher {
        Pusher::new(self.api(), cache, &self.token(cache, Permission::Write))
    }

    /// The cache's JSON, as one who may read it sees it.
    #[track_caller]
    pub fn cache_json(&self, cache: &str) -> Value {
        let token = self.token(cache, Permission::Read);
        self.api().get(&format!("/api/v1/cache/{cache}")).bearer(&token).send().expect(200).json()
    }

    /// The keys that the cache publishes, as `NAME:BASE64`.
    #[track_caller]
    pub fn public_keys(&self, cache: &str) -> Vec<String> {
        serde_json::from_value(self.cache_json(cache)["publicSigningKeys"].clone()).unwrap()
    }

    /// The daemon's only published key for the cache.
    #[track_caller]
    pub fn public_key(&self, cache: &str) -> String {
        let [key] = <[String; 1]>::try_from(self.public_keys(cache)).expect("one key");
        key
    }

    /// Files below the cache's storage that are neither directories nor part of the spool, sorted. Without the note of the
    /// catalog's generation, which the daemon writes when it likes.
    pub fn stored_files(&self, cache: &str) -> Vec<String> {
        let mut files = Vec::new();
        let root = self.storage_dir(cache);
        collect_files(&root, &root, &mut files);
        files.retain(|file| !file.starts_with(".spool/") && file != ".cache-server-catalog");
        files
    }

    /// The NARs among them.
    pub fn stored_nars(&self, cache: &str) -> Vec<String> {
        let mut files = self.stored_files(cache);
        files.retain(|file| file.starts_with("nar/"));
        files
    }

    /// Files of unfinished uploads, sorted.
    pub fn spooled_files(&self, cache: &str) -> Vec<String> {
        let mut files = Vec::new();
        let root = self.storage_dir(cache).join(".spool");
        collect_files(&root, &root, &mut files);
        files
    }

    /// Waits until nothing of any unfinished upload is left.
    #[track_caller]
    pub fn wait_for_empty_spool(&self, cache: &str) {
        let mut left = Vec::new();
        let emptied = wait_unless(SOON, || {
            left = self.spooled_files(cache);
            left.is_empty().then_some(())
        });
        assert!(emptied.is_some(), "left in the spool: {left:?}");
    }

    pub fn daemon_pid(&self) -> u32 {
        self.daemon.pid()
    }

    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// kill -9, and a new daemon on the same state.
    pub fn crash_and_restart(&mut self) {
        self.daemon.kill9();
        self.restart();
    }

    /// SIGTERM, and a new daemon on the same state.
    pub fn stop_and_restart(&mut self) -> ExitStatus {
        let status = self.daemon.terminate();
        self.restart();
        status
    }

    /// SIGTERM, a change of the config, and a new daemon on the same state.
    #[track_caller]
    pub fn reconfigure(&mut self, edit: impl FnOnce(&mut Value)) {
        assert!(self.daemon.terminate().success());
        self.edit_config(edit);
        self.restart();
    }

    /// Changes the file, which the daemon does not notice by itself.
    pub fn edit_config(&self, edit: impl FnOnce(&mut Value)) {
        let file = self.directory().join("config.yaml");
        let mut config = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        edit(&mut config);
        fs::write(&file, serde_json::to_string_pretty(&config).unwrap()).unwrap();
    }

    /// Starts the daemon again after it has ended, when its API is not to be expected.
    #[track_caller]
    pub fn restart_unasked(&mut self) {
        self.daemon = spawn(self.directory.path(), &self.launcher);
        wait_for(SOON, "cachectl is answered", || self.cachectl(&["status"]).status.success().then_some(()));
    }

    /// Starts the daemon again, which may die at any moment.
    pub fn start_again(&mut self) {
        self.daemon = spawn(self.directory.path(), &self.launcher);
    }

    /// Starts the daemon again after it has ended.
    #[track_caller]
    pub fn restart(&mut self) {
        self.daemon = spawn(self.directory.path(), &self.launcher);
        let ready = until_ready(&mut self.daemon, self.ports["api"], self.directory.path());
        assert!(ready, "the daemon does not start again:\n{}", self.daemon.log());
    }
}

/// The usual config, and the ports in it by purpose.
fn config(directory: &Path) -> (Value, HashMap<String, u16>) {
    let [api, deploy, public, private, signed, numbered] = ports::free();
    let ports = [
        ("api", api),
        ("deploy", deploy),
        ("pub", public),
        ("priv", private),
        ("self", signed),
        ("my-cache-2", numbered),
    ];
    let cache = |name: &str, access: &str, port: u16| {
        let storage = json!({"name": "disk", "type": "local", "root": directory.join("storage")});
        json!({"name": name, "access": access, "port": port, "storages": [storage]})
    };
    let config = json!({
        "server": {
            "database": "db.sqlite",
            "hostname": "127.0.0.1",
            "standalone": true,
            "server-port": api,
            "deploy-port": deploy,
            "public-url": format!("http://{HOST}"),
            "state-dir": directory.join("state"),
            "admin-socket": directory.join("admin.sock"),
            "key": "6b".repeat(32),
            // Most tests look at the storage for what was removed.
            "trash": "off",
        },
        "caches": [
            cache("pub", "public", public),
            cache("priv", "private", private),
            signed_by_clients(cache("self", "public", signed)),
            cache("my-cache-2", "public", numbered),
        ],
    });
    (config, ports.map(|(name, port)| (name.to_owned(), port)).into())
}

/// Makes a cache take the key of a client.
fn signed_by_clients(mut cache: Value) -> Value {
    cache["signing"] = json!("auto");
    cache
}

fn spawn(directory: &Path, launcher: &Launcher) -> Daemon {
    let mut command = launcher(directory);
    command.env("HOME", directory.join("home")).env("RUST_BACKTRACE", "1");
    command.arg("--config").arg(directory.join("config.yaml"));
    Daemon::spawn(&mut command, &directory.join("daemon.log"))
}

/// Waits for the first answer of the API; false if the daemon ends instead. Something else may have the port and answer before the
/// daemon tries to open it.
#[track_caller]
fn until_ready(daemon: &mut Daemon, port: u16, directory: &Path) -> bool {
    let api = Endpoint { address: (Ipv4Addr::LOCALHOST, port).into(), host: HOST.to_owned() };
    wait_for(Duration::from_secs(30), "the daemon answers", || match daemon.has_ended() {
        Some(_) => Some(false),
        None => {
            let answers = api.get("/api/v1/cache/pub").try_send().is_ok();
            (answers && directory.join("admin.sock").exists()).then_some(true)
        }
    })
}

/// Whether the daemon goes without a port that it should have.
fn lacks_a_port(daemon: &Daemon, ports: &HashMap<String, u16>) -> bool {
    let log = daemon.log();
    let mut lines = log.lines().filter(|line| line.contains("cannot listen here"));
    lines.any(|line| ports.values().any(|port| line.contains(&format!(":{port}\""))))
}

fn collect_files(root: &Path, directory: &Path, files: &mut Vec<String>) {
    // A file or directory may vanish while it is looked at.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect_files(root, &entry.path(), files),
            Ok(_) => files.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
            Err(_) => {}
        }
    }
    files.sort();
}
