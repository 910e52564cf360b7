//! A daemon in a mount namespace of its own, in which file systems come and go.

use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::declare;
use super::medium::Medium;
use crate::harness::Site;
use crate::harness::daemon::DAEMON;

/// Shell commands that mount what is to be mounted when the daemon starts, in the site's directory.
const SCRIPT: &str = "mounts.sh";

/// A daemon with one cache, `pub`. `mounts` are shell commands to be run before each of its starts, with the site's
/// directory as the current one; only the daemon sees what they mount.
pub fn site(mounts: &str, strategy: &str, storages: impl Fn(&FilePath) -> Vec<Value>) -> Site {
    Site::launched(
        |config, directory| {
            fs::write(directory.join(SCRIPT), mounts).unwrap();
            declare(config, strategy, storages(directory));
        },
        |directory| {
            let script = format!("set -e; cd \"$HERE\"; . ./{SCRIPT}; cd /; exec \"$0\" \"$@\"");
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-c", &script, DAEMON]);
            command.env("HERE", directory).stdin(Stdio::null());
            command
        },
    )
}

/// Has other commands run before the next start.
pub fn at_next_start(site: &Site, mounts: &str) {
    fs::write(site.directory().join(SCRIPT), mounts).unwrap();
}

/// Runs shell commands where the daemon sees their mounts, in the site's directory.
#[track_caller]
pub fn run(site: &mut Site, commands: &str) {
    assert!(try_run(site, commands), "{commands}");
}

/// [`run`], for what may not be possible yet. Returns whether it was.
pub fn try_run(site: &mut Site, commands: &str) -> bool {
    let directory = site.directory().display().to_string();
    let status = Command::new("nsenter")
        .args(["--target", &site.daemon().pid().to_string(), "--mount", "sh", "-c"])
        .arg(format!("set -e; cd {directory}; {commands}"))
        .status();
    status.unwrap().success()
}

/// A directory of the site as the daemon sees it.
pub fn view(site: &mut Site, name: &str) -> PathBuf {
    let below_root = site.directory().join(name);
    FilePath::new("/proc")
        .join(site.daemon().pid().to_string())
        .join("root")
        .join(below_root.strip_prefix("/").unwrap())
}

/// What `pub` has on the local storage of this name, as the daemon sees it.
pub fn disk(site: &mut Site, name: &str) -> Medium<'static> {
    Medium::Directory(view(site, name).join("pub"))
}

/// Files of unfinished uploads on the local storage of this name, as the daemon sees it.
pub fn spooled(site: &mut Site, name: &str) -> usize {
    let spool = view(site, name).join("pub/.spool");
    fs::read_dir(spool).map_or(0, Iterator::count)
}
