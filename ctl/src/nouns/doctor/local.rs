//! The checks that need no daemon.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use admin_api::{Finding, FindingLevel, Listener, Purpose};

use super::ok;
use crate::client::socket;
use crate::output::plain;

/// Whether both ends have the same version.
pub fn version(daemon: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    if daemon == own {
        return ok("version", format!("the daemon and cachectl are both {own}"));
    }
    Finding {
        level: FindingLevel::Warn,
        subject: "version".to_owned(),
        message: format!("the daemon is {daemon} and cachectl is {own}"),
        advice: Some(
            "Restart the daemon if it was upgraded; otherwise use the cachectl that came with it.".to_owned(),
        ),
    }
}

/// Who can open the admin sockets. Anyone who can open one may do everything.
pub fn admin_socket(listeners: &[Listener]) -> impl Iterator<Item = Finding> {
    let sockets = listeners.iter().filter(|listener| listener.purpose == Purpose::Admin);
    sockets.map(|listener| {
        let path = Path::new(&listener.address);
        match socket::permissions(path) {
            Some(found) if found.mode & 0o002 != 0 && is_open_to_all(path) => Finding {
                level: FindingLevel::Warn,
                subject: "admin socket".to_owned(),
                message: format!("everyone on this machine can use {}", path.display()),
                advice: Some(format!("Restrict it with `chmod o-w {}`.", path.display())),
            },
            Some(found) => {
                let (mode, group) = (found.mode, found.group.unwrap_or_else(|| found.gid.to_string()));
                ok("admin socket", format!("{} has mode {mode:04o} and group {group}", path.display()))
            }
            // The daemon answers, so the socket was moved or mounted elsewhere.
            None => ok("admin socket", format!("{} is not visible from here", path.display())),
        }
    })
}

/// Whether everyone can search the directories above `path`.
fn is_open_to_all(path: &Path) -> bool {
    path.ancestors()
        .skip(1)
        .all(|directory| socket::permissions(directory).is_none_or(|found| found.mode & 0o001 != 0))
}

/// The config with which a daemon of this user would start.
pub fn config_to_start_with() -> Finding {
    match config_candidates(|name| std::env::var_os(name)).find(|file| file.exists()) {
        Some(file) => {
            let file = file.display();
            let check = format!("Check it with `cachectl doctor --config {}`.", plain(&file.to_string()));
            Finding {
                advice: Some(check),
                ..ok("config", format!("a daemon without --config would read {file}"))
            }
        }
        None => Finding {
            advice: Some(
                "If the daemon has another config, check that with `cachectl doctor --config FILE`."
                    .to_owned(),
            ),
            ..ok("config", "a daemon without --config would run on its built-in defaults".to_owned())
        },
    }
}

/// Returns where a daemon looks for its config by default, in order.
fn config_candidates(env: impl Fn(&str) -> Option<OsString>) -> impl Iterator<Item = PathBuf> {
    let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let of_user =
        home.map(|home| ["config.yaml", "config.yml"].map(|name| home.join("cache-server").join(name)));
    of_user.into_iter().flatten().chain([PathBuf::from("/etc/cache-server/config.yaml")])
}
