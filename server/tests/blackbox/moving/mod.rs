//! Moving in and out: imports from what people have, exports to what plain Nix reads.

mod credentials;
mod export;
mod figures;
mod import;
mod kill;
mod original;
mod sources;
mod web;

use std::fs;
use std::io::Write as _;
use std::path::Path as FilePath;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::daemon::cachectl;
use crate::harness::{Path, Site};

/// Writes a flat binary cache with these paths, as any tool may have.
pub fn write_flat(directory: &FilePath, paths: &[Path]) {
    fs::create_dir_all(directory.join("nar")).unwrap();
    fs::write(directory.join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
    for path in paths {
        fs::write(directory.join(path.file_url()), &path.file).unwrap();
        fs::write(directory.join(format!("{}.narinfo", path.hash)), path.narinfo_text()).unwrap();
    }
}

/// Runs `cachectl … --json` with a standard input.
pub fn run(site: &Site, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(cachectl())
        .arg("--socket")
        .arg(site.directory().join("admin.sock"))
        .args(arguments)
        .arg("--json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The summary in the events of a job, and its exit code.
#[track_caller]
pub fn summary(output: &Output) -> (Value, i32) {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    let event: Value = serde_json::from_str(last).unwrap_or_default();
    assert_eq!(event["event"], "done", "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    (event["summary"].clone(), output.status.code().unwrap())
}

/// What a job came to that has to succeed.
#[track_caller]
pub fn succeeds(site: &Site, arguments: &[&str]) -> Value {
    let output = run(site, arguments, "");
    let (summary, code) = summary(&output);
    assert_eq!(code, 0, "{summary}");
    summary
}

/// What a job that fails says.
#[track_caller]
pub fn fails(site: &Site, arguments: &[&str]) -> String {
    let output = run(site, arguments, "");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The URL of a directory.
pub fn file_url(directory: &FilePath) -> String {
    format!("file://{}", directory.display())
}
