//! A backup is enough: what was acknowledged before it is there after a restore, under the same keys.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{back_up, cache_server, complaint, finding, lose_state, pushed, restore, text, wait_until_back};
use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, ENOSPC, Fault};
use crate::harness::{Cluster, Path, Permission, SOON, Site, wait_for};

/// What belongs to the state of a daemon besides paths.
struct Rest {
    token: String,
    key: String,
}

impl Rest {
    fn make(site: &Site, pinned: &Path) -> Self {
        site.cachectl_ok(&["key", "add", "--cache", "pub"]);
        site.cachectl_ok(&["pin", "add", "release", &pinned.hash, "--cache", "pub"]);
        Self { token: site.token("priv", Permission::Read), key: site.public_keys("pub").join(" ") }
    }

    #[track_caller]
    fn check(&self, site: &Site) {
        let opened = site.api().get("/api/v1/cache/priv").bearer(&self.token).send();
        assert_eq!(opened.status, 200, "a token is lost");
        assert_eq!(site.public_keys("pub").join(" "), self.key);
        assert!(site.cachectl_ok(&["pin", "list", "--cache", "pub"]).contains("release"));
    }
}

/// A site whose server key is in the state directory.
fn site() -> Site {
    Site::with(|config| drop(config["server"].as_object_mut().unwrap().remove("key")))
}

#[test]
fn a_backup_and_the_storages_are_enough() {
    let mut site = site();
    let mut paths: Vec<Path> = ["one", "two"].map(|name| pushed(&site, name)).into();
    let rest = Rest::make(&site, &paths[0]);
    let backup = back_up(&site, "backup");
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    paths.push(pushed(&site, "after"));
    site.daemon().kill9();
    lose_state(&site);

    let told = restore(&site, &backup);
    for expected in ["2 paths", "Start the daemon", "cachectl token list"] {
        assert!(told.contains(expected), "{told}");
    }
    site.restart();
    rest.check(&site);
    wait_until_back(&site, &paths);
    assert_eq!(finding(&site, "server key")["level"], "ok");
    // The daemon may still be searching other storages for what is missing.
    wait_for(SOON, "all storages can be examined", || {
        site.cachectl(&["fsck"]).status.success().then_some(())
    });
    // It is a daemon like any other.
    paths.push(pushed(&site, "later"));
    site.crash_and_restart();
    rest.check(&site);
    wait_until_back(&site, &paths);
}

#[test]
fn a_backup_never_replaces_a_file_and_is_refused_with_what_to_do() {
    let site = site();
    let file = site.directory().join("precious");
    fs::write(&file, "precious").unwrap();
    let told = complaint(&site.cachectl(&["backup", file.to_str().unwrap()]));
    assert!(told.contains("precious exists already") && told.contains("Name a new file."), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    complaint(&site.cachectl(&["backup", "/nowhere/backup"]));
}

#[test]
fn a_full_disk_leaves_no_half_backup() {
    for files in [".catalog.partial", "backup.partial"] {
        let site = Site::launched(
            |_, _| (),
            move |directory| {
                let mut command = Command::new(DAEMON);
                command.env_clear().stdin(Stdio::null());
                faulty::preload(&mut command, directory, files);
                command
            },
        );
        pushed(&site, "one");
        let before = fs::read_dir(site.directory()).unwrap().count();
        faulty::set(site.directory(), Some(Fault::Write(ENOSPC)));
        let told = complaint(&site.cachectl(&["backup", site.directory().join("backup").to_str().unwrap()]));
        assert!(told.contains("room"), "{files}: {told}");
        faulty::set(site.directory(), None);
        assert_eq!(fs::read_dir(site.directory()).unwrap().count(), before, "{files}");
        back_up(&site, "backup");
    }
}

#[test]
fn a_restore_goes_nowhere_but_into_an_empty_state_directory() {
    let mut site = site();
    let path = pushed(&site, "one");
    let backup = back_up(&site, "backup");
    let restoring = ["restore", backup.to_str().unwrap()];
    let told = complaint(&cache_server(&site, &restoring, &[]));
    assert!(told.contains("another cache-server already uses"), "{told}");
    assert!(site.daemon().terminate().success());
    let told = complaint(&cache_server(&site, &restoring, &[]));
    assert!(told.contains("not empty") && told.contains(".old"), "{told}");
    // A check changes nothing and works anywhere.
    let check = cache_server(&site, &["restore", "--check", backup.to_str().unwrap()], &[]);
    let told = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && told.contains("Checked") && told.contains("1 paths"), "{told}");
    site.restart();
    site.reader("pub").assert_has(&path);
}

#[test]
fn a_damaged_backup_is_refused_and_nothing_is_left_of_it() {
    let mut site = site();
    pushed(&site, "one");
    let backup = back_up(&site, "backup");
    let whole = fs::read(&backup).unwrap();
    assert!(site.daemon().terminate().success());
    lose_state(&site);
    for (what, bytes) in [("cut short", &whole[..whole.len() * 2 / 3]), ("not one", b"no backup at all")] {
        fs::write(&backup, bytes).unwrap();
        let told = complaint(&cache_server(&site, &["restore", backup.to_str().unwrap()], &[]));
        assert!(told.contains("backup"), "{what}: {told}");
        let left: Vec<_> =
            fs::read_dir(site.state_dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["lock"], "{what}");
    }
    fs::write(&backup, whole).unwrap();
    restore(&site, &backup);
    site.restart();
}

#[test]
fn a_restore_that_was_cut_short_counts_as_none() {
    for step in ["restore-database-placed", "restore-file-placed"] {
        let mut site = site();
        let paths = [pushed(&site, "one")];
        let rest = Rest::make(&site, &paths[0]);
        let backup = back_up(&site, "backup");
        assert!(site.daemon().terminate().success());
        lose_state(&site);
        let died =
            cache_server(&site, &["restore", backup.to_str().unwrap()], &[("CACHE_SERVER_DIE_AT", step)]);
        assert_eq!(died.status.code(), None, "it was killed at {step}");
        let told = complaint(&cache_server(&site, &[], &[]));
        assert!(told.contains("was not finished") && told.contains("cache-server restore"), "{told}");
        restore(&site, &backup);
        site.restart();
        rest.check(&site);
        wait_until_back(&site, &paths);
    }
}

#[test]
fn a_backup_brings_its_configuration_along() {
    let site = site();
    let backup = back_up(&site, "backup");
    let printed = cache_server(&site, &["restore", "--print-config", backup.to_str().unwrap()], &[]);
    assert_eq!(printed.stdout, fs::read(site.directory().join("config.yaml")).unwrap());
}

/// The catalog of daemons on a database server, restored to a file.
#[test]
fn a_backup_of_a_database_server_is_restored_to_a_file_and_back() {
    let mut cluster = Cluster::start();
    let mut paths = vec![pushed(&cluster.a, "one")];
    let token = cluster.a.token("priv", Permission::Read);
    let backup = back_up(&cluster.a, "backup");
    paths.push(pushed(&cluster.a, "after"));
    for site in [&mut cluster.a, &mut cluster.b] {
        assert!(site.daemon().terminate().success());
    }
    let url = cluster.database_url();
    lose_state(&cluster.a);
    cluster.a.edit_config(|config| config["server"]["database"] = json!("db.sqlite"));
    restore(&cluster.a, &backup);
    cluster.a.restart();
    wait_until_back(&cluster.a, &paths);
    let opens = |site: &Site| site.api().get("/api/v1/cache/priv").bearer(&token).send().status;
    assert_eq!(opens(&cluster.a), 200);
    let backup = back_up(&cluster.a, "second");

    // The server still has the catalog, and keeps it as it is.
    assert!(cluster.a.daemon().terminate().success());
    lose_state(&cluster.a);
    cluster.a.edit_config(|config| config["server"]["database"] = json!(url));
    restore(&cluster.a, &backup);
    // An empty one is filled.
    lose_state(&cluster.a);
    cluster.run_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    restore(&cluster.a, &backup);
    cluster.a.restart();
    wait_until_back(&cluster.a, &paths);
    assert_eq!(opens(&cluster.a), 200);
    assert_eq!(text(&finding(&cluster.a, "server key")), "all tokens in use were made with it ");
    cluster.a.pusher("pub").push(&Path::small("later"));
}
