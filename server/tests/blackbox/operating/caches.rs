//! The deletion of caches.

use std::fs;

use serde_json::{Value, json};

use super::{CONFLICT, NOT_FOUND, ask, fails, job, site};
use crate::harness::nix_host::NixHost;
use crate::harness::site::HOST;
use crate::harness::{Path, Permission, Site};

const NAME: &str = "my-cache-2";
const DELETE: [&str; 4] = ["cache", "delete", NAME, "--yes"];

/// Pushes some paths to the cache that will be deleted, and one to another cache.
fn fill(site: &Site) -> (Vec<Path>, Path) {
    let paths: Vec<Path> = (0..12).map(|number| Path::small(&format!("path-{number}"))).collect();
    paths.iter().for_each(|path| site.pusher(NAME).push(path));
    site.cachectl_ok(&["pin", "add", "held", &paths[0].hash, "--cache", NAME]);
    let other = Path::small("other");
    site.pusher("pub").push(&other);
    (paths, other)
}

fn is_listed(site: &Site) -> bool {
    ask(site, &["cache", "list"]).as_array().unwrap().iter().any(|cache| cache["name"] == NAME)
}

fn remove_from(config: &mut Value) {
    config["caches"].as_array_mut().unwrap().remove(3);
}

#[test]
fn a_cache_that_was_removed_from_the_config_is_deleted_with_its_files() {
    let mut site = site();
    let (paths, other) = fill(&site);
    let told = fails(&site, &DELETE, CONFLICT);
    assert!(told.contains("is still in the config") && told.contains("enabled: false"), "{told}");
    assert!(fails(&site, &["cache", "delete", "nope", "--yes"], NOT_FOUND).contains("nope"));
    let mut removed = Value::Null;
    site.reconfigure(|config| removed = config["caches"].as_array_mut().unwrap().remove(3));
    assert!(is_listed(&site));
    let unconfirmed = site.cachectl(&["cache", "delete", NAME]);
    assert!(!unconfirmed.status.success());
    assert!(String::from_utf8_lossy(&unconfirmed.stderr).contains("--yes"), "{unconfirmed:?}");
    assert!(site.storage_dir(NAME).exists());

    let summary = job(&site, &DELETE);
    assert_eq!(summary["paths"], paths.len());
    assert_eq!(summary["left_files"], 0);
    assert!(summary["files"].as_u64().unwrap() > 2 * paths.len() as u64, "{summary}");
    let nars: usize = paths.iter().map(|path| path.file.len()).sum();
    assert!(summary["bytes_freed"].as_u64().unwrap() > nars as u64, "{summary}");
    assert!(!site.storage_dir(NAME).exists(), "nothing of it is left");
    let keys = fs::read_dir(site.state_dir().join("keys")).unwrap().flatten();
    assert!(keys.map(|key| key.file_name()).all(|key| !key.to_str().unwrap().starts_with(NAME)));
    assert!(!is_listed(&site));
    fails(&site, &DELETE, NOT_FOUND);
    site.reader("pub").assert_has(&other);
    site.crash_and_restart();
    assert!(!is_listed(&site));
    site.reader("pub").assert_has(&other);

    // A new cache of the same name starts empty.
    site.reconfigure(|config| config["caches"].as_array_mut().unwrap().push(removed));
    assert_eq!(site.reader(NAME).narinfo_status(&paths[0]), 404);
    let info = format!("/api/v1/cache/{NAME}");
    site.api().get(&info).bearer(&site.token(NAME, Permission::Write)).send().expect(401);
    site.forget_tokens(NAME);
    site.pusher(NAME).push(&paths[0]);
    assert!(site.reader(NAME).assert_has(&paths[0]).is_signed_by(&site.public_key(NAME)));
    assert!(site.public_key(NAME).starts_with(&format!("{NAME}.{HOST}-1:")));
}

/// What was in memory does not interfere, and does not reappear in a new cache of the same name.
#[test]
fn a_cache_that_was_served_until_a_reload_is_deleted() {
    for keeps_entry in [true, false] {
        let site = site();
        let (paths, _) = fill(&site);
        site.reader(NAME).assert_has(&paths[0]);
        let mut entry = Value::Null;
        site.edit_config(|config| {
            entry = config["caches"][3].clone();
            if keeps_entry {
                config["caches"][3]["enabled"] = json!(false);
            } else {
                remove_from(config);
            }
        });
        site.cachectl_ok(&["reload"]);
        assert_eq!(job(&site, &DELETE)["left_files"], 0);
        assert!(!site.storage_dir(NAME).exists() && !is_listed(&site));

        site.edit_config(|config| {
            config["caches"].as_array_mut().unwrap().truncate(3);
            config["caches"].as_array_mut().unwrap().push(entry);
        });
        site.cachectl_ok(&["reload"]);
        assert_eq!(site.reader(NAME).narinfo_status(&paths[0]), 404);
        site.forget_tokens(NAME);
        site.pusher(NAME).push(&paths[0]);
        site.reader(NAME).assert_has(&paths[0]);
    }
}

#[test]
fn a_disabled_cache_can_be_deleted() {
    let mut site = site();
    fill(&site);
    site.reconfigure(|config| config["caches"][3]["enabled"] = json!(false));
    assert_eq!(job(&site, &DELETE)["left_files"], 0);
    assert!(!site.storage_dir(NAME).exists() && !is_listed(&site));
}

#[test]
fn foreign_files_and_lost_storages_stay() {
    let mut site = site();
    let (paths, _) = fill(&site);
    let directory = site.storage_dir(NAME);
    fs::write(directory.join(".notes"), "mine").unwrap();
    site.reconfigure(remove_from);
    // The disk was moved, and something similar took its place.
    let away = site.directory().join("away");
    fs::rename(&directory, &away).unwrap();
    fs::create_dir_all(directory.join("nar")).unwrap();
    fs::write(directory.join("nar/precious"), "mine").unwrap();
    let output = site.cachectl(&DELETE);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.contains(directory.to_str().unwrap()) && told.contains("stay where they are"), "{told}");
    assert!(directory.join("nar/precious").exists() && away.join(paths[0].file_url()).exists());
    assert!(!is_listed(&site));
}

#[test]
fn foreign_files_beside_those_of_a_cache_stay() {
    let mut site = site();
    fill(&site);
    let notes = site.storage_dir(NAME).join(".notes");
    fs::write(&notes, "mine").unwrap();
    site.reconfigure(remove_from);
    let output = site.cachectl(&DELETE);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("none of a binary cache"), "{output:?}");
    assert_eq!(site.stored_files(NAME), [".cache-server-storage", ".notes"]);
    assert!(!is_listed(&site));
}

#[test]
fn an_incomplete_deletion_is_completed_by_the_next_one() {
    let mut site = site();
    let (paths, _) = fill(&site);
    site.reconfigure(|config| config["caches"][3]["enabled"] = json!(false));
    // The disk disappears.
    let (directory, away) = (site.storage_dir(NAME), site.directory().join("away"));
    fs::rename(&directory, &away).unwrap();
    let output = site.cachectl(&DELETE);
    assert_eq!(output.status.code(), Some(8), "{output:?}");
    assert!(is_listed(&site), "nobody forgets the files");
    fs::rename(&away, &directory).unwrap();
    // The daemon crashed halfway.
    for path in &paths[..6] {
        fs::remove_file(directory.join(path.file_url())).unwrap();
        fs::remove_file(directory.join(format!("{}.narinfo", path.hash))).unwrap();
    }
    site.crash_and_restart();
    let summary = job(&site, &DELETE);
    assert_eq!((summary["paths"].as_u64(), summary["left_files"].as_u64()), (Some(12), Some(0)));
    assert!(!directory.exists() && !is_listed(&site));
}

#[test]
fn nix_pushes_with_the_lines_that_cache_info_prints() {
    let site = Site::with(|config| config["server"]["public-url"] = Value::Null);
    let info = ask(&site, &["cache", "info", "priv"]);
    let steps = info["setup"].as_array().unwrap();
    let lines: Vec<&str> = steps
        .iter()
        .flat_map(|step| step["lines"].as_array().unwrap())
        .map(|line| line.as_str().unwrap())
        .collect();
    let line = |part: &str| {
        let found = lines.iter().find(|line| line.contains(part));
        (*found.unwrap_or_else(|| panic!("{part} in {lines:?}"))).to_owned()
    };
    let token =
        site.create_token(&line("cachectl token create").split_whitespace().skip(3).collect::<Vec<_>>());
    let copy = line("nix copy");
    assert!(copy.contains("?compression=zstd'"), "{copy}");
    let host = NixHost::new();
    let path = host.ok("echo hello > file; nix-store --add file");
    let netrc = line("login").replace("TOKEN", &token);
    host.ok(&format!(
        "umask 022; ln -s {path} result; {netrc}; {copy}; test $(stat -c %a cache-netrc) = 600"
    ));
    assert_eq!(ask(&site, &["cache", "info", "priv"])["paths"], 1);
    assert!(lines.iter().any(|line| line.contains("--refresh")), "{lines:?}");
    assert!(site.cachectl_ok(&["cache", "info", "priv"]).contains("--refresh"));
}
