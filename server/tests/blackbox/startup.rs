//! A stranger's first start: no config, an empty home, and everything needed is printed. And starts that fail.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path as FilePath;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::daemon::{DAEMON, Daemon};
use crate::harness::read::Reader;
use crate::harness::{Endpoint, Path, Pusher, SOON, Site, namespace, wait_for};

/// Starts the daemon with nothing but an empty home, in a network of its own: it takes the ports of its defaults.
fn start(home: &FilePath, log: &str) -> Daemon {
    let mut command = namespace::unshared_network();
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.arg(DAEMON).env_clear().env("PATH", path).env("HOME", home).stdin(Stdio::null());
    command.current_dir(home);
    Daemon::spawn(&mut command, &home.join(log))
}

/// What the daemon printed, once it is all there.
fn greeting(daemon: &mut Daemon) -> String {
    wait_for(SOON, "the greeting is printed", || {
        assert!(daemon.has_ended().is_none(), "{}", daemon.log());
        Some(daemon.log()).filter(|log| log.contains("trusted-public-keys"))
    })
}

/// The word behind `before`.
#[track_caller]
fn word_after<'a>(text: &'a str, before: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before:?} in:\n{text}"));
    rest.split_whitespace().next().expect("a word")
}

/// The endpoint that a URL names.
#[track_caller]
fn endpoint(url: &str) -> Endpoint {
    let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let address: SocketAddr = host.parse().unwrap_or_else(|_| panic!("an address: {url}"));
    assert!(address.ip().is_loopback(), "for this machine only: {url}");
    Endpoint { address, host: host.to_owned() }
}

#[test]
fn what_is_printed_is_all_it_takes_to_push_and_to_fetch() {
    let home = tempfile::tempdir().unwrap();
    let mut daemon = start(home.path(), "first.log");
    namespace::enter(&daemon);
    let text = greeting(&mut daemon);

    let api = endpoint(word_after(&text, "cachix config set hostname "));
    let token = word_after(&text, "cachix authtoken ");
    assert_eq!(word_after(&text, "cachix push "), "main");
    let substituter = word_after(&text, "substituters = ");
    assert_eq!(word_after(&text, "--to "), substituter, "what is pushed to is what is read from");
    let key = word_after(&text, "trusted-public-keys = ");
    let state = home.path().join(".local/state/cache-server");
    assert!(text.contains(state.to_str().unwrap()), "where the state is:\n{text}");
    assert!(state.join("db.sqlite").is_file());
    for file in fs::read_dir(&state).unwrap().map(Result::unwrap) {
        let facts = file.metadata().unwrap();
        let private = facts.permissions().mode() & 0o007 == 0;
        assert!(
            private || !facts.is_file() || facts.len() == 0,
            "{} is for its owner",
            file.path().display()
        );
    }

    let path = Path::small("first");
    Pusher::new(api.clone(), "main", token).push(&path);
    let info = Reader::new(endpoint(substituter)).assert_has(&path);
    assert!(info.is_signed_by(key));
    let cache = api.get("/api/v1/cache/main").send().expect(200).json();
    assert_eq!(cache["uri"], substituter);
    assert_eq!(cache["publicSigningKeys"][0], key);

    assert_eq!(daemon.terminate().code(), Some(0));
}

#[test]
fn the_second_start_finds_what_the_first_one_made() {
    let home = tempfile::tempdir().unwrap();
    let path = Path::small("first");
    let mut printed = Vec::new();
    for log in ["first.log", "second.log"] {
        let mut daemon = start(home.path(), log);
        let text = greeting(&mut daemon);
        let words =
            ["cachix config set hostname ", "cachix authtoken ", "substituters = ", "trusted-public-keys = "];
        let words = words.map(|before| word_after(&text, before).to_owned());
        let [api, token, substituter, _] = words.clone();
        // Threads cannot leave a network, so each start is visited by one of its own.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                namespace::enter(&daemon);
                if log == "first.log" {
                    Pusher::new(endpoint(&api), "main", &token).push(&path);
                }
                Reader::new(endpoint(&substituter)).assert_has(&path);
            });
        });
        printed.push(words);
        daemon.kill9();
    }
    let [first, second] = <[[String; 4]; 2]>::try_from(printed).unwrap();
    assert_eq!(first[0], second[0]);
    assert_eq!(first[2..], second[2..], "URL and key stay");
}

#[test]
fn a_config_in_the_users_config_directory_is_found() {
    for (variable, directory, name) in [
        ("XDG_CONFIG_HOME", "xdg/cache-server", "config.yaml"),
        ("XDG_CONFIG_HOME", "xdg/cache-server", "config.yml"),
        ("UNUSED", ".config/cache-server", "config.yaml"),
    ] {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(directory)).unwrap();
        let config = "server: {server-port: 15006}\ncaches: [{name: found-it, port: 15007}]\n";
        fs::write(home.path().join(directory).join(name), config).unwrap();
        let mut command = Command::new(DAEMON);
        command.env_clear().env("HOME", home.path()).env(variable, home.path().join("xdg"));
        let output = command.arg("print-config").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("found-it"), "{directory}/{name}");
    }
}

/// Runs the program to its end, on a config like that of the site with these changes.
fn run_changed(site: &Site, arguments: &[&str], edit: impl FnOnce(&mut Value)) -> Output {
    let text = fs::read_to_string(site.directory().join("config.yaml")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["server"]["state-dir"] = json!(site.directory().join("second"));
    config["server"]["admin-socket"] = json!(site.directory().join("second.sock"));
    for cache in config["caches"].as_array_mut().unwrap() {
        cache.as_object_mut().unwrap().remove("storages");
    }
    edit(&mut config);
    let changed = site.directory().join("changed.yaml");
    fs::write(&changed, config.to_string()).unwrap();
    Command::new(DAEMON).env_clear().args(arguments).arg(changed).output().unwrap()
}

#[test]
fn a_port_that_is_taken_is_told_once_and_with_what_to_do() {
    let site = Site::start();
    let output = run_changed(&site, &["--config"], |_| {});
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(complaint.matches("Address already in use").count(), 1, "{complaint}");
    let address = format!("127.0.0.1:{} (server.server-port)", site.port("api"));
    assert!(complaint.contains(&address) && complaint.contains("stop it, or choose another"), "{complaint}");
}

#[test]
fn a_check_fails_where_the_daemon_cannot_listen() {
    let site = Site::start();
    for hostname in ["host.invalid", "192.0.2.77"] {
        for arguments in [&["check-config"][..], &["--config"]] {
            let output =
                run_changed(&site, arguments, |config| config["server"]["hostname"] = json!(hostname));
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
            let complaint = String::from_utf8(output.stderr).unwrap();
            assert!(complaint.contains(hostname), "{complaint}");
            assert_eq!(complaint.matches("os error").count().max(1), 1, "the cause once: {complaint}");
        }
        let offline = run_changed(&site, &["check-config", "--offline"], |config| {
            config["server"]["hostname"] = json!(hostname);
        });
        assert_eq!(offline.status.code(), Some(0), "{offline:?}");
    }
}
