//! Files of the daemon whose writes or syncs fail on demand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What fails: an operation, and the error number it fails with.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// `fsync` and `fdatasync`.
    Sync(i32),
    /// `write` and `pwrite`.
    Write(i32),
    /// `fsync` and `fdatasync` do not return until the fault is mended.
    Hang,
}

/// The errors of a broken and of a full disk.
pub const EIO: i32 = 5;
pub const ENOSPC: i32 = 28;

/// Has the daemon that `command` runs use faulty files: those whose path contains `files`.
pub fn preload(command: &mut Command, directory: &Path, files: &str) {
    command
        .env("LD_PRELOAD", library(directory))
        .env("FAULTY_FILES", files)
        .env("FAULTY_CONTROL", control(directory));
}

/// Operations fail from now on, or no longer.
pub fn set(directory: &Path, fault: Option<Fault>) {
    let file = control(directory);
    match fault {
        Some(fault) => {
            let (operation, code) = match fault {
                Fault::Sync(code) => ("sync", code),
                Fault::Write(code) => ("write", code),
                Fault::Hang => ("hang", 0),
            };
            let new = directory.join("faulty.new");
            fs::write(&new, format!("{operation} {code}\n")).unwrap();
            fs::rename(new, file).unwrap();
        }
        None => {
            let _ = fs::remove_file(file);
        }
    }
}

/// Whether a sync hangs, or did since the start.
pub fn has_hung(directory: &Path) -> bool {
    directory.join("faulty.hanging").exists()
}

fn control(directory: &Path) -> PathBuf {
    directory.join("faulty")
}

/// Compiles the library if that was not done yet.
fn library(directory: &Path) -> PathBuf {
    let library = directory.join("faulty.so");
    if !library.exists() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blackbox/harness/faulty.c");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl")
            .status()
            .expect("a C compiler (Debian package build-essential) is needed");
        assert!(status.success(), "cc: {status}");
    }
    library
}
