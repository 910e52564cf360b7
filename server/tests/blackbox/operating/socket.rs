//! The permissions of the admin socket.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::Site;
use crate::harness::daemon::DAEMON;

fn site(mode: Option<&str>, group: Option<u32>) -> Site {
    Site::with(|config| {
        config["server"]["admin-socket-mode"] = json!(mode);
        config["server"]["admin-socket-group"] = json!(group.map(|group| group.to_string()));
    })
}

/// The mode and the group of the socket.
fn lock(site: &Site) -> (u32, u32) {
    let socket = fs::metadata(site.directory().join("admin.sock")).unwrap();
    (socket.mode() & 0o7777, socket.gid())
}

#[test]
fn the_socket_has_the_configured_mode_and_group() {
    let own = rustix::process::getegid().as_raw();
    assert_eq!(lock(&site(None, None)), (0o660, own));
    // Only root may assign it to a group that it is not in.
    let group = if rustix::process::geteuid().is_root() { 54_321 } else { own };
    let mut site = site(Some("0600"), Some(group));
    assert_eq!(lock(&site), (0o600, group));
    site.crash_and_restart();
    assert_eq!(lock(&site), (0o600, group), "in the place of the one that was left");
    site.cachectl_ok(&["status"]);
}

#[test]
fn a_group_that_does_not_exist_is_reported() {
    let mut site = Site::start();
    assert!(site.daemon().terminate().success());
    let file = site.directory().join("config.yaml");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    config["server"]["admin-socket-group"] = json!("no-such-group");
    fs::write(&file, config.to_string()).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(DAEMON).env_clear().args(arguments).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for told in [run(&["--config"]), run(&["check-config"])] {
        assert!(told.contains("there is no group `no-such-group`"), "{told}");
        assert!(told.contains("admin-socket"), "{told}");
    }
}
