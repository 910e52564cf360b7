//! Backups and what is restored from them, and catalogs that do not fit the rest of an installation: older ones, those of
//! other storages, those of other keys.

mod archive;
mod belonging;
mod model;
mod older;

use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::daemon::DAEMON;
use crate::harness::{Path, SOON, Site, wait_for};

/// Runs `cache-server --config CONFIG ARGUMENTS` to its end, with the site's configuration and these variables.
fn cache_server(site: &Site, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(DAEMON);
    command.env_clear().env("HOME", site.directory().join("home")).envs(variables.iter().copied());
    command.arg("--config").arg(site.directory().join("config.yaml")).args(arguments).output().unwrap()
}

/// Checks that the program fails, and returns what it says.
#[track_caller]
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
    assert!(!output.status.success(), "{text}");
    text
}

/// Backs up to a new file in the site's directory.
#[track_caller]
fn back_up(site: &Site, name: &str) -> PathBuf {
    let file = site.directory().join(name);
    site.cachectl_ok(&["backup", file.to_str().unwrap()]);
    file
}

/// Moves the state directory of a site whose daemon has ended out of the way.
fn lose_state(site: &Site) -> PathBuf {
    let lost =
        (0..).map(|number| site.directory().join(format!("lost-{number}"))).find(|lost| !lost.exists());
    let lost = lost.unwrap();
    fs::rename(site.state_dir(), &lost).unwrap();
    lost
}

/// Restores a backup into the state directory, and returns what the program says.
#[track_caller]
fn restore(site: &Site, file: &FilePath) -> String {
    let output = cache_server(site, &["restore", file.to_str().unwrap()], &[]);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// Copies a directory with everything in it.
fn copy_directory(from: &FilePath, to: &FilePath) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

fn pushed(site: &Site, name: &str) -> Path {
    let path = Path::small(name);
    site.pusher("pub").push(&path);
    path
}

/// Waits until every one of these paths is served again, and checks that it is whole.
#[track_caller]
fn wait_until_back(site: &Site, paths: &[Path]) {
    for path in paths {
        let what = format!("{} is back", path.name);
        wait_for(SOON, &what, || (site.reader("pub").narinfo_status(path) == 200).then_some(()));
        site.reader("pub").assert_has(path);
    }
}

/// Waits until no storage is being searched any more.
#[track_caller]
fn wait_until_recovered(site: &Site) {
    wait_for(SOON, "the storages were searched", || {
        findings(site).iter().all(|finding| !text(finding).contains("being searched")).then_some(())
    });
}

/// What the doctor says.
fn findings(site: &Site) -> Vec<Value> {
    serde_json::from_slice(&site.cachectl(&["doctor", "--json"]).stdout).unwrap()
}

/// The finding about this subject.
#[track_caller]
fn finding(site: &Site, subject: &str) -> Value {
    let found = findings(site);
    let finding = found.iter().find(|finding| finding["subject"] == subject);
    finding.unwrap_or_else(|| panic!("nothing about {subject} in {found:?}")).clone()
}

fn text(finding: &Value) -> String {
    format!("{} {}", finding["message"].as_str().unwrap(), finding["advice"].as_str().unwrap_or_default())
}
