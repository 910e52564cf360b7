//! The process environment: where to search for the file, and default paths.

use std::env;
use std::path::{Path, PathBuf};

/// The parts of the process environment that configuration depends on. Tests make their own.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `$STATE_DIRECTORY`, which systemd sets for `StateDirectory=`.
    pub state_directory: Option<PathBuf>,
    /// `$RUNTIME_DIRECTORY`, which systemd sets for `RuntimeDirectory=`.
    pub runtime_directory: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`, which systemd sets for `LoadCredential=`.
    pub credentials_directory: Option<PathBuf>,
    /// The state directory of the daemon that reads the file again. It changes with a restart only, so relative paths begin
    /// there whatever the file says.
    pub running_in: Option<PathBuf>,
    /// Whether the process runs as root.
    pub is_root: bool,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self {
            home: absolute_path("HOME"),
            config_home: absolute_path("XDG_CONFIG_HOME"),
            state_home: absolute_path("XDG_STATE_HOME"),
            state_directory: absolute_path("STATE_DIRECTORY"),
            runtime_directory: absolute_path("RUNTIME_DIRECTORY"),
            credentials_directory: absolute_path("CREDENTIALS_DIRECTORY"),
            running_in: None,
            is_root: rustix::process::geteuid().is_root(),
        }
    }

    /// The default of `server.state-dir`.
    pub(super) fn default_state_dir(&self, source: Option<&Path>) -> PathBuf {
        let system_wide = self.is_root && source.is_some_and(|file| file.starts_with("/etc"));
        let of_user = || {
            let state_home = self.state_home.clone();
            state_home.or_else(|| Some(self.home.as_ref()?.join(".local/state")))
        };
        match (&self.state_directory, of_user()) {
            (Some(directory), _) => directory.clone(),
            (None, Some(state_home)) if !system_wide => state_home.join("cache-server"),
            _ => PathBuf::from("/var/lib/cache-server"),
        }
    }

    /// The default of `server.admin-socket`.
    pub(super) fn default_admin_socket(&self, state_dir: &Path) -> PathBuf {
        self.runtime_directory.as_deref().unwrap_or(state_dir).join("admin.sock")
    }
}

/// The value of a variable, or of its first entry: systemd separates several directories by colons. A relative path
/// counts as none, as the XDG base directory specification wants it.
fn absolute_path(variable: &str) -> Option<PathBuf> {
    let value = env::var_os(variable)?;
    let first = env::split_paths(&value).next()?;
    first.is_absolute().then_some(first)
}

/// The configuration file to use: `explicit` whether it exists or not, else the first of
/// `$XDG_CONFIG_HOME/cache-server/config.yaml`, the same with `.yml`, and `/etc/cache-server/config.yaml` that exists.
pub fn find(explicit: Option<&Path>, env: &Environment) -> Option<PathBuf> {
    if let Some(path) = explicit {
        return Some(path.to_owned());
    }
    let config_home = env.config_home.clone().or_else(|| Some(env.home.as_ref()?.join(".config")));
    let of_user = config_home.map(|directory| directory.join("cache-server"));
    let candidates = of_user
        .iter()
        .flat_map(|directory| ["config.yaml", "config.yml"].map(|name| directory.join(name)))
        .chain([PathBuf::from("/etc/cache-server/config.yaml")]);
    // A file that is there but unreadable is the one that is meant: loading it says what is wrong.
    candidates.into_iter().find(|path| path.symlink_metadata().is_ok())
}
