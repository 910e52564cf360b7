//! How the socket is found.
#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{fs, io};

use tokio::net::UnixStream;

use super::socket::{candidates, connect, find_group, find_obstacle, miss};
use crate::error::{Error, Miss};

/// Looks names up in `values`, as the environment would.
fn env(values: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
    |name| values.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
}

fn paths(texts: &[&str]) -> Vec<PathBuf> {
    texts.iter().map(PathBuf::from).collect()
}

fn run(candidates: &[PathBuf]) -> Result<(PathBuf, UnixStream), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(connect(candidates))
}

#[test]
fn a_named_socket_is_the_only_candidate() {
    let home = [("HOME", "/home/a")];
    assert_eq!(candidates(Some("s".into()), env(&home)), paths(&["s"]));
}

#[test]
fn the_daemon_of_the_system_comes_before_that_of_the_user() {
    assert_eq!(
        candidates(None, env(&[("HOME", "/home/a")])),
        paths(&[
            "/run/cache-server/admin.sock",
            "/home/a/.local/state/cache-server/admin.sock",
            "/var/lib/cache-server/admin.sock",
        ])
    );
    assert_eq!(
        candidates(None, env(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "/s")]))[1],
        Path::new("/s/cache-server/admin.sock")
    );
}

#[test]
fn empty_and_relative_homes_are_ignored() {
    let system = paths(&["/run/cache-server/admin.sock", "/var/lib/cache-server/admin.sock"]);
    assert_eq!(candidates(None, env(&[])), system);
    assert_eq!(candidates(None, env(&[("HOME", ""), ("XDG_STATE_HOME", "state")])), system);
}

#[test]
fn a_socket_without_a_daemon_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let [absent, stale, live] = ["absent", "stale", "live"].map(|name| dir.path().join(name));
    drop(UnixListener::bind(&stale).unwrap());
    let _listener = UnixListener::bind(&live).unwrap();
    let (path, _stream) = run(&[absent, stale, live.clone()]).unwrap();
    assert_eq!(path, live);
}

#[test]
fn each_candidate_that_fails_is_reported_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let [absent, stale, file] = ["absent", "stale", "file"].map(|name| dir.path().join(name));
    drop(UnixListener::bind(&stale).unwrap());
    fs::write(&file, "").unwrap();
    let below_file = file.join("admin.sock");
    let too_long = dir.path().join("x".repeat(200));
    let Err(Error::Unreachable { tried }) = run(&[absent, stale, file, below_file, too_long]) else {
        panic!("reached something");
    };
    let misses: Vec<_> = tried.iter().map(|(_, miss)| miss).collect();
    assert!(
        matches!(misses[..], [Miss::Absent, Miss::Stale, Miss::NotASocket, Miss::Absent, Miss::Other(_)]),
        "{misses:?}"
    );
}

#[test]
fn a_full_backlog_is_distinguished_from_a_missing_daemon() {
    let miss = miss(Path::new("/s"), io::ErrorKind::WouldBlock.into());
    assert!(matches!(miss, Miss::Busy));
}

#[test]
fn a_group_is_found_by_its_number() {
    let groups = "root:x:0:\nbroken\nnix:x:seven:\ncache:x:7:alice,bob\n";
    assert_eq!(find_group(groups, 7).as_deref(), Some("cache"));
    assert_eq!(find_group(groups, 8), None);
}

#[test]
fn the_innermost_directory_that_can_be_inspected_is_the_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("a/b/admin.sock");
    let obstacle = find_obstacle(&socket).unwrap();
    assert_eq!((obstacle.path.as_path(), obstacle.is_directory), (dir.path(), true));
}
