//! A daemon with state of its own and one public cache.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use admin_api::{CreateToken, CreatedToken, Permission, wire};
use serde_json::{Value, json};

use super::client::Connection;
use super::{Result, option, ports};

/// The name of the cache.
pub const CACHE: &str = "bench";

/// How long a daemon may take to answer.
const START: Duration = Duration::from_secs(120);

/// A running daemon, ended when dropped.
pub struct Daemon {
    child: Child,
    directory: PathBuf,
    /// Where the API is.
    pub api: SocketAddr,
    /// Where the cache is for readers.
    pub cache: SocketAddr,
    /// Permits pushing.
    pub token: String,
}

impl Daemon {
    /// Starts the daemon (`--daemon FILE`, else the one built with this program) with everything it writes in
    /// `directory`.
    pub fn start(directory: &Path) -> Result<Self> {
        Self::start_with(directory, |_| {})
    }

    /// As [`Daemon::start`], on a storage with these settings.
    pub fn start_on(directory: &Path, storage: Value) -> Result<Self> {
        Self::start_with(directory, |config| config["caches"][0]["storages"] = json!([storage]))
    }

    /// As [`Daemon::start`], with changes to its configuration.
    pub fn start_with(directory: &Path, change: impl FnOnce(&mut Value)) -> Result<Self> {
        Self::launch(&[], &[], directory, change)
    }

    /// As [`Daemon::start`], run by another program and with these variables in its environment.
    pub fn start_under(program: &[&str], variables: &[(&str, &str)], directory: &Path) -> Result<Self> {
        Self::launch(program, variables, directory, |_| {})
    }

    fn launch(
        program: &[&str],
        variables: &[(&str, &str)],
        directory: &Path,
        change: impl FnOnce(&mut Value),
    ) -> Result<Self> {
        let [api, deploy, cache] = ports::free()?;
        let storage = json!({"name": "disk", "type": "local", "root": directory.join("storage")});
        let mut config = json!({
            "server": {
                "hostname": "127.0.0.1",
                "standalone": true,
                "server-port": api.port(),
                "deploy-port": deploy.port(),
                "state-dir": directory.join("state"),
                "admin-socket": directory.join("admin.sock"),
            },
            "caches": [{"name": CACHE, "access": "public", "port": cache.port(), "storages": [storage]}],
        });
        change(&mut config);
        let file = directory.join("config.yaml");
        fs::write(&file, config.to_string())?;
        let log = File::create(directory.join("daemon.log"))?;
        let binary = option("--daemon").unwrap_or_else(|| env!("CARGO_BIN_EXE_cache-server").to_owned());
        let mut command = program.iter().copied().chain([binary.as_str()]);
        let child = Command::new(command.next().unwrap_or(&binary))
            .args(command)
            .arg("--config")
            .arg(file)
            .envs(variables.iter().copied())
            .env("HOME", directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{binary}: {error}"))?;
        let directory = directory.to_owned();
        let mut daemon = Self { child, directory, api, cache, token: String::new() };
        daemon.wait_until_ready()?;
        daemon.token = daemon.create_token()?;
        Ok(daemon)
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory with the files of the cache: what a static web server would serve.
    pub fn storage(&self) -> PathBuf {
        self.directory.join("storage").join(CACHE)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        while Connection::open(self.cache)
            .and_then(|mut connection| connection.get("/nix-cache-info"))
            .is_err()
        {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.join("daemon.log"))?;
                return Err(format!("the daemon does not start:\n{log}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn create_token(&self) -> Result<String> {
        let request = CreateToken {
            subject: None,
            caches: vec![CACHE.to_owned()],
            all: false,
            workspace: None,
            agent: None,
            permission: Permission::Write,
            expires_seconds: None,
            daily_limit: None,
        };
        let mut admin = Connection::open_unix(&self.directory.join("admin.sock"))?;
        let wire::Encoded { target, body } = wire::encode(&request);
        let (_, reply) = admin.call("POST", &target, "", &body)?;
        Ok(serde_json::from_slice::<CreatedToken>(&reply)?.token)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
