//! Ports that cannot be opened: the others are served, the operator is told, and each is opened once that can be.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::daemon::DAEMON;
use crate::harness::site::HOST;
use crate::harness::{Endpoint, Path as StorePath, SOON, Site, ports, wait_for};

/// A socket that somebody else listens on.
fn occupy() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint { address: (Ipv4Addr::LOCALHOST, port).into(), host: HOST.to_owned() }
}

fn ask(site: &Site, command: &str) -> Value {
    serde_json::from_slice(&site.cachectl(&[command, "--json"]).stdout).unwrap()
}

/// What `cachectl status` says of an address.
fn listener(site: &Site, port: u16) -> Value {
    let status = ask(site, "status");
    let listeners = status["listeners"].as_array().unwrap();
    let ends = |listener: &&Value| listener["address"].as_str().unwrap().ends_with(&format!(":{port}"));
    listeners.iter().find(ends).unwrap_or_else(|| panic!("{port} in {status}")).clone()
}

/// What the doctor finds about an address.
fn finding(site: &Site, port: u16) -> Option<Value> {
    let findings = ask(site, "doctor");
    let names = |finding: &&Value| finding["subject"].as_str().unwrap().ends_with(&format!(":{port}"));
    findings.as_array().unwrap().iter().find(names).cloned()
}

#[test]
fn a_port_that_is_taken_takes_nothing_from_the_others_and_is_served_once_it_is_free() {
    let (taken, port) = occupy();
    let mut site = Site::with(|config| config["caches"][0]["port"] = json!(port));
    let path = StorePath::small("path");
    site.pusher("pub").push(&path);
    site.reader("pub").assert_has(&path);
    site.cache_port("my-cache-2").get("/nix-cache-info").send().expect(200);

    let told = listener(&site, port);
    assert!(told["error"].as_str().unwrap().contains("in use"), "{told}");
    assert_eq!(told["cache"], "pub");
    assert!(site.cachectl_ok(&["status"]).contains("in use"));
    let found = finding(&site, port).expect("a finding");
    assert_eq!(found["level"], "error");
    assert!(found["advice"].is_string(), "{found}");
    let log = site.daemon().log();
    assert!(log.contains(&format!("127.0.0.1:{port}")), "{log}");

    // What is wrong already holds up no change of something else.
    site.edit_config(|config| config["caches"][0]["priority"] = json!(7));
    site.cachectl_ok(&["reload"]);
    assert!(listener(&site, port)["error"].is_string());

    drop(taken);
    wait_for(SOON, "the port is served", || {
        let reply = endpoint(port).get("/nix-cache-info").try_send();
        reply.is_ok_and(|reply| reply.status == 200).then_some(())
    });
    assert!(listener(&site, port).get("error").is_none());
    assert!(finding(&site, port).is_none());
    // And a reload closes it like any other.
    site.edit_config(|config| config["caches"][0]["port"] = json!(ports::free::<1>()[0]));
    site.cachectl_ok(&["reload"]);
    wait_for(SOON, "the port is closed", || {
        endpoint(port).get("/nix-cache-info").try_send().is_err().then_some(())
    });
}

#[test]
fn a_port_that_is_taken_is_forgotten_when_the_config_asks_for_it_no_longer() {
    let (_taken, port) = occupy();
    let site = Site::with(|config| config["caches"][0]["port"] = json!(port));
    assert!(listener(&site, port)["error"].is_string());
    site.edit_config(|config| config["caches"][0]["port"] = Value::Null);
    site.cachectl_ok(&["reload"]);
    assert!(finding(&site, port).is_none());
}

#[test]
fn a_first_start_without_the_port_of_the_api_fails_and_says_what_to_do() {
    let (_taken, port) = occupy();
    let directory = tempfile::tempdir().unwrap();
    let [deploy, cache] = ports::free();
    let config = json!({
        "server": {
            "hostname": "127.0.0.1", "standalone": true, "state-dir": directory.path().join("state"),
            "admin-socket": directory.path().join("admin.sock"), "server-port": port, "deploy-port": deploy,
        },
        "caches": [{"name": "main", "port": cache}],
    });
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, config.to_string()).unwrap();
    // It makes no difference that one has failed before.
    for _ in 0..2 {
        let output = Command::new(DAEMON).env_clear().arg("--config").arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(log.contains(&format!("127.0.0.1:{port} (server.server-port)")), "{log}");
        assert_eq!(log.matches("in use").count(), 1, "{log}");
        assert!(log.contains("choose another port"), "{log}");
    }
}

#[test]
fn a_daemon_that_has_served_before_goes_on_without_the_port_of_the_api() {
    let mut site = Site::start();
    let port = site.port("api");
    let path = StorePath::small("path");
    site.pusher("pub").push(&path);
    assert!(site.daemon().terminate().success());
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    site.restart_unasked();
    let info = format!("/{}.narinfo", path.hash);
    site.cache_port("pub").get(&info).send().expect(200);
    endpoint(site.port("deploy")).get("/api/v1/cache/pub").send().expect(200);
    assert!(listener(&site, port)["error"].is_string());
    assert_eq!(finding(&site, port).expect("a finding")["level"], "error");

    drop(taken);
    wait_for(SOON, "the API is served", || {
        endpoint(port).get("/api/v1/cache/pub").try_send().is_ok().then_some(())
    });
}

/// The shell gives the daemon its standard input as descriptor 3, as systemd would give it a socket.
const HANDING_OVER: &str = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 </dev/null";

/// A site whose daemon is handed one socket.
fn handed(listener: TcpListener, edit: impl Fn(&mut Value, &Path)) -> Site {
    Site::launched(edit, move |_| {
        let mut command = Command::new("/bin/sh");
        command.env_clear().stdin(OwnedFd::from(listener.try_clone().unwrap()));
        command.args(["-c", HANDING_OVER, DAEMON]);
        command
    })
}

#[test]
fn a_socket_of_systemd_on_another_address_than_the_hostname_is_warned_of() {
    let (listener, port) = occupy();
    let mut site = handed(listener, |config, _| {
        config["server"]["server-port"] = json!(port);
        config["server"]["hostname"] = json!("0.0.0.0");
    });
    let found = finding(&site, port).expect("a finding");
    assert_eq!(found["level"], "warn");
    let message = found["message"].as_str().unwrap();
    assert!(message.contains(&format!("127.0.0.1:{port}")) && message.contains("0.0.0.0"), "{found}");
    let log = site.daemon().log();
    assert!(log.contains(message), "{log}");
}

#[test]
fn a_socket_of_systemd_on_the_address_of_the_hostname_is_not_warned_of() {
    for hostname in ["localhost", "127.0.0.1"] {
        let (listener, port) = occupy();
        let site = handed(listener, |config, _| {
            config["server"]["server-port"] = json!(port);
            config["server"]["hostname"] = json!(hostname);
        });
        assert!(finding(&site, port).is_none(), "{hostname}");
    }
}
