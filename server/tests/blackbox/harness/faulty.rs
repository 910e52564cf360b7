//! Files of the daemon on which operations fail on demand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// What fails: an operation, and the error number it fails with.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// `fsync` and `fdatasync`.
    Sync(i32),
    /// `write` and `pwrite`.
    Write(i32),
    /// Hard links.
    Link(i32),
    /// `fsync` and `fdatasync` do not return until the fault is mended.
    Hang,
    /// One of the operations that change something, counted from 1 since the fault was set: writing, syncing, truncating,
    /// renaming, linking, removing, opening to write, making a directory.
    Nth {
        /// Which.
        number: u32,
        /// The error number that it fails with.
        code: i32,
        /// Whether all later ones fail too.
        sticks: bool,
    },
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
    static NONCE: AtomicU32 = AtomicU32::new(1);
    let file = control(directory);
    let _ = fs::remove_file(directory.join("faulty.hit"));
    let Some(fault) = fault else {
        let _ = fs::remove_file(file);
        return;
    };
    let words = match fault {
        Fault::Sync(code) => format!("sync {code}"),
        Fault::Write(code) => format!("write {code}"),
        Fault::Link(code) => format!("link {code}"),
        Fault::Hang => "hang 0".to_owned(),
        Fault::Nth { number, code, sticks } => {
            let nonce = NONCE.fetch_add(1, Ordering::Relaxed);
            format!("nth {code} {number} {} {nonce}", u8::from(sticks))
        }
    };
    let new = directory.join("faulty.new");
    fs::write(&new, words + "\n").unwrap();
    fs::rename(new, file).unwrap();
}

/// Whether the operation of a [`Fault::Nth`] has failed since that was set.
pub fn has_hit(directory: &Path) -> bool {
    directory.join("faulty.hit").exists()
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
