//! The config is the truth: what it says holds after the next start, and no change of it deletes data.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::daemon::{DAEMON, Daemon};
use crate::harness::site::HOST;
use crate::harness::{Endpoint, Path, Permission, SOON, Site, ports, wait_for};

#[test]
fn a_disabled_cache_is_gone_and_comes_back_as_it_was() {
    let mut site = Site::start();
    let path = Path::small("kept");
    site.pusher("my-cache-2").push(&path);
    let token = site.token("my-cache-2", Permission::Write);
    let key = site.public_key("my-cache-2");

    site.reconfigure(|config| config["caches"][3]["enabled"] = json!(false));
    site.api().get("/api/v1/cache/my-cache-2").bearer(&token).send().expect(404);
    site.cache("my-cache-2").get(&format!("/{}.narinfo", path.hash)).send().expect(404);
    assert!(site.cache_port("my-cache-2").connect().is_err(), "its port is closed");
    site.cache("pub").get("/nix-cache-info").send().expect(200);

    site.reconfigure(|config| config["caches"][3]["enabled"] = json!(true));
    site.reader("my-cache-2").assert_has(&path);
    assert_eq!(site.public_key("my-cache-2"), key);
}

#[test]
fn a_cache_taken_out_of_the_file_keeps_its_data() {
    let mut site = Site::start();
    let path = Path::small("kept");
    site.pusher("my-cache-2").push(&path);
    let key = site.public_key("my-cache-2");
    let mut removed = json!(null);
    site.reconfigure(|config| removed = config["caches"].as_array_mut().unwrap().remove(3));
    site.api().get("/api/v1/cache/my-cache-2").send().expect(404);
    assert!(site.stored_nars("my-cache-2").len() == 1, "the NAR is still there");
    let status: Value = serde_json::from_str(&site.cachectl_ok(&["status", "--json"])).unwrap();
    let listed = status["caches"].as_array().unwrap().iter().find(|cache| cache["name"] == "my-cache-2");
    assert_eq!(listed.expect("what vanished is listed")["enabled"], false);

    site.reconfigure(|config| config["caches"].as_array_mut().unwrap().push(removed));
    site.reader("my-cache-2").assert_has(&path);
    assert_eq!(site.public_key("my-cache-2"), key);
}

#[test]
fn access_follows_the_file() {
    let mut site = Site::start();
    let path = Path::small("secret-soon");
    site.pusher("pub").push(&path);
    let narinfo = format!("/{}.narinfo", path.hash);
    site.cache("pub").get(&narinfo).send().expect(200);
    site.reconfigure(|config| config["caches"][0]["access"] = json!("private"));
    site.cache("pub").get(&narinfo).send().expect(401);
    site.reader("pub").assert_has(&path);
    site.reconfigure(|config| config["caches"][0]["access"] = json!("public"));
    site.cache("pub").get(&narinfo).send().expect(200);
}

/// Starts a second daemon with the config of a running one, changed like this; returns it and its API.
fn start_beside(site: &Site, edit: impl Fn(&mut Value)) -> (Daemon, Endpoint) {
    let file = std::fs::read_to_string(site.directory().join("config.yaml")).unwrap();
    let mut config: Value = serde_json::from_str(&file).unwrap();
    let [api, deploy, public, private, signed, numbered] = ports::free();
    config["server"]["server-port"] = json!(api);
    config["server"]["deploy-port"] = json!(deploy);
    config["server"]["admin-socket"] = json!(site.directory().join("second.sock"));
    for (index, port) in [public, private, signed, numbered].into_iter().enumerate() {
        config["caches"][index]["port"] = json!(port);
    }
    edit(&mut config);
    let second = site.directory().join("second.yaml");
    std::fs::write(&second, config.to_string()).unwrap();
    let mut command = Command::new(DAEMON);
    command.env_clear().stdin(Stdio::null()).arg("--config").arg(second);
    let daemon = Daemon::spawn(&mut command, &site.directory().join("second.log"));
    (daemon, Endpoint { address: (Ipv4Addr::LOCALHOST, api).into(), host: HOST.to_owned() })
}

/// Two daemons on one state would each believe to be the only writer.
#[test]
fn a_second_daemon_on_the_same_state_does_not_start() {
    let site = Site::start();
    let path = Path::small("first");
    site.pusher("pub").push(&path);
    let (mut second, _) = start_beside(&site, |_| ());
    let status = wait_for(SOON, "the second daemon gives up", || second.has_ended());
    assert_eq!(status.code(), Some(1), "{}", second.log());
    assert!(second.log().contains(site.state_dir().to_str().unwrap()), "{}", second.log());
    site.reader("pub").assert_has(&path);
}

/// Its start would clean up a spool in which the first one's uploads are running. Whether it ends or goes on without the
/// storage is its own affair.
#[test]
fn a_second_daemon_keeps_its_hands_off_a_storage_in_use() {
    let site = Site::start();
    let path = Path::small("running");
    let pusher = site.pusher("pub");
    let (upload, parts) = pusher.upload(&path);
    let other_state = site.directory().join("other-state");
    let (mut second, api) = start_beside(&site, |config| config["server"]["state-dir"] = json!(other_state));
    wait_for(SOON, "the second daemon is ready or gives up", || {
        let ready = api.get("/api/v1/cache/pub").try_send().is_ok();
        (ready || second.has_ended().is_some()).then_some(())
    });
    assert!(second.log().contains("in use"), "{}", second.log());
    pusher.complete(&upload, &parts, &path.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&path);
}
