//! Tests that mount file systems.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Tells a test that it is in a mount namespace of its own.
const INSIDE: &str = "NAR_STORAGE_TEST_HAS_ITS_OWN_MOUNTS";

/// Runs a test where nobody else sees what it mounts, and nothing of it stays: in a process of its own, which is this
/// test once more.
pub fn run_test(test: impl Future<Output = ()>) {
    if env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.unwrap().block_on(test);
    }
    // Tests run on threads that have their names.
    let name = thread::current().name().unwrap().to_owned();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success() && said[0].contains(" 1 passed"), "{}{}", said[0], said[1]);
}

/// Something mounted on a directory.
pub struct Mount(PathBuf);

impl Mount {
    /// A file system in memory of that size in bytes.
    pub fn tmpfs(on: &Path, size: u64) -> Self {
        let size = format!("size={size}");
        Self::new(on, &["-t", "tmpfs", "-o", &size, "tmpfs"])
    }

    /// The directory `what` once more, or all that is mounted there.
    pub fn bind(what: &Path, on: &Path) -> Self {
        Self::new(on, &["--bind", what.to_str().unwrap()])
    }

    fn new(on: &Path, arguments: &[&str]) -> Self {
        fs::create_dir_all(on).unwrap();
        let status = Command::new("mount").args(arguments).arg(on).status().unwrap();
        assert!(status.success(), "cannot mount {arguments:?}; run the tests as root");
        Self(on.to_owned())
    }

    /// Like the kernel does with a file system that it finds damaged.
    pub fn remount_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro,bind"]).arg(&self.0).status().unwrap();
        assert!(status.success(), "cannot remount");
    }

    /// Has it gone from the directory, whoever has files of it open: like a disk that drops out.
    pub fn detach(self) {
        drop(self);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let detached = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(thread::panicking() || detached.is_ok_and(|status| status.success()), "cannot unmount");
    }
}
