//! A stranger's first start: no config, an empty home, and everything needed is printed. And starts that fail.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::daemon::{DAEMON, Daemon};
use crate::harness::nix_host::NixHost;
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
        Some(daemon.log()).filter(|log| log.contains("--refresh"))
    })
}

/// The word behind `before`.
#[track_caller]
fn word_after<'a>(text: &'a str, before: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before:?} in:\n{text}"));
    rest.split_whitespace().next().expect("a word")
}

fn state(home: &FilePath) -> PathBuf {
    home.join(".local/state/cache-server")
}

/// The write token that the daemon made.
fn token(home: &FilePath) -> String {
    fs::read_to_string(state(home).join("write-token")).unwrap()
}

/// The endpoint that a URL names.
#[track_caller]
fn endpoint(url: &str) -> Endpoint {
    let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let address: SocketAddr = host.parse().unwrap_or_else(|_| panic!("an address: {url}"));
    assert!(address.ip().is_loopback(), "for this machine only: {url}");
    Endpoint { address, host: host.to_owned() }
}

/// Asserts that the greeting fits on a terminal of 80 by 24, whose last line is that of the cursor.
#[track_caller]
fn assert_fits_on_a_screen(log: &str, home: &FilePath) {
    let (_, text) = log.split_once("\ncache-server ").expect("the greeting begins with the name");
    let rows = |line: &str| line.chars().count().div_ceil(80).max(1);
    // The token is shown on a terminal alone, where it takes this many rows.
    let token = rows(&format!("  token     {}", token(home))) - 1;
    // The directory of the test's own program is longer than that of a checkout.
    let is_long = |line: &&str| line.starts_with("  cachectl ");
    let rows: usize = text.lines().map(|line| if is_long(&line) { 1 } else { rows(line) }).sum();
    assert!(rows + token < 24, "{rows} + {token} rows:\n{text}");
}

#[test]
fn what_is_printed_is_all_it_takes_to_push_and_to_fetch() {
    let home = tempfile::tempdir().unwrap();
    let mut daemon = start(home.path(), "first.log");
    namespace::enter(&daemon);
    let text = greeting(&mut daemon);

    let api = endpoint(word_after(&text, "cachix config set hostname "));
    let token = token(home.path());
    assert_eq!(word_after(&text, "cachix push "), "main");
    let substituter = word_after(&text, "substituters = ");
    let pushed_to = word_after(&text, "--to ");
    assert_eq!(
        pushed_to,
        format!("'{substituter}?compression=zstd'"),
        "what is pushed to is what is read from"
    );
    let key = word_after(&text, "trusted-public-keys = ");
    let state = state(home.path());
    assert!(text.contains("~/.local/state/cache-server\n"), "where the state is:\n{text}");
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
    Pusher::new(api.clone(), "main", &token).push(&path);
    let info = Reader::new(endpoint(substituter)).assert_has(&path);
    assert!(info.is_signed_by(key));
    let cache = api.get("/api/v1/cache/main").send().expect(200).json();
    assert_eq!(cache["uri"], substituter);
    assert_eq!(cache["publicSigningKeys"][0], key);

    assert_eq!(daemon.terminate().code(), Some(0));
}

#[test]
fn the_token_is_in_files_for_their_owner_and_not_in_what_a_pipe_gets() {
    let home = tempfile::tempdir().unwrap();
    let mut daemon = start(home.path(), "first.log");
    let text = greeting(&mut daemon);
    let token = token(home.path());
    assert!(!text.contains(&token), "{text}");
    for name in ["write-token", "netrc"] {
        let file = state(home.path()).join(name);
        assert!(text.contains(&format!("~/.local/state/cache-server/{name}")), "{name} in:\n{text}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let netrc = fs::read_to_string(state(home.path()).join("netrc")).unwrap();
    assert_eq!(netrc, format!("machine 127.0.0.1 login token password {token}\n"));
}

#[test]
fn a_terminal_is_shown_the_token_once() {
    let home = tempfile::tempdir().unwrap();
    let mut command = namespace::unshared_network();
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Python gives the daemon a terminal and prints what appears there. The daemon goes when it does.
    command.args(["python3", "-c", "import pty, sys; pty.spawn(sys.argv[1:])"]);
    command.args(["setpriv", "--pdeathsig", "KILL", DAEMON]);
    command.env_clear().env("PATH", path).env("HOME", home.path()).stdin(Stdio::null());
    let mut daemon = Daemon::spawn(&mut command, &home.path().join("screen"));
    let screen = greeting(&mut daemon);
    daemon.kill9();
    assert_eq!(screen.matches(&token(home.path())).count(), 1, "{screen}");
}

#[test]
fn nix_pushes_with_the_line_that_is_printed() {
    let home = tempfile::tempdir().unwrap();
    let mut daemon = start(home.path(), "first.log");
    namespace::enter(&daemon);
    let text = greeting(&mut daemon);
    let line = text.lines().find(|line| line.contains("nix copy")).unwrap();
    let host = NixHost::new();
    let path = host.ok("echo hello > file; nix-store --add file");
    host.ok(&format!("export HOME={}; ln -s {path} result; {line}", home.path().display()));
    let substituter = word_after(&text, "substituters = ");
    let reader = NixHost::trusting(&[word_after(&text, "trusted-public-keys = ")]);
    reader.ok(&format!("nix copy --from {substituter} {path}"));
}

#[test]
fn a_port_of_the_defaults_that_is_taken_is_said_and_no_reason_to_fail() {
    let home = tempfile::tempdir().unwrap();
    let mut command = namespace::unshared_network();
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Somebody else has the port; they are the daemon's own process, which does not know.
    let occupied = "import os, socket, sys\n\
        taken = socket.create_server((\"127.0.0.1\", 8080))\n\
        os.set_inheritable(taken.fileno(), True)\n\
        os.execv(sys.argv[1], sys.argv[1:])";
    command.args(["python3", "-c", occupied, DAEMON]);
    command.env_clear().env("PATH", path).env("HOME", home.path()).stdin(Stdio::null());
    let mut daemon = Daemon::spawn(&mut command, &home.path().join("first.log"));
    namespace::enter(&daemon);
    let text = greeting(&mut daemon);
    assert!(text.contains("Port 8080 is in use: cache main is served at port 5000 only."), "{text}");
    assert_fits_on_a_screen(&text, home.path());

    let api = endpoint(word_after(&text, "cachix config set hostname "));
    let path = Path::small("first");
    Pusher::new(api.clone(), "main", &token(home.path())).push(&path);
    let substituter = word_after(&text, "substituters = ");
    assert!(!substituter.contains("8080"), "{text}");
    assert_eq!(api.get("/api/v1/cache/main").send().expect(200).json()["uri"], substituter);
    let at = substituter.strip_prefix(&format!("http://{}", api.host)).unwrap();
    api.get(&format!("{at}/{}.narinfo", path.hash)).send().expect(200);
}

#[test]
fn the_second_start_finds_what_the_first_one_made() {
    let home = tempfile::tempdir().unwrap();
    let path = Path::small("first");
    let mut printed = Vec::new();
    for log in ["first.log", "second.log"] {
        let mut daemon = start(home.path(), log);
        let text = greeting(&mut daemon);
        let words = ["cachix config set hostname ", "substituters = ", "trusted-public-keys = "];
        let words = words.map(|before| word_after(&text, before).to_owned());
        let token = token(home.path());
        let [api, substituter, _] = words.clone();
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
    let [first, second] = <[[String; 3]; 2]>::try_from(printed).unwrap();
    assert_eq!(first, second, "URLs and key stay");
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
fn a_check_fails_where_another_program_has_the_port() {
    let site = Site::start();
    let output = run_changed(&site, &["check-config"], |_| {});
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("is in use on 127.0.0.1 by another program"), "{complaint}");
    // The daemon's own port is no fault of its configuration.
    let own = site.directory().join("config.yaml");
    let output = Command::new(DAEMON).env_clear().arg("check-config").arg(own).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn the_program_alone_is_cachectl_too() {
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("cache-server");
    fs::copy(DAEMON, &program).unwrap();
    let mut command = namespace::unshared_network();
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.arg(&program).env_clear().env("PATH", path).env("HOME", home.path()).stdin(Stdio::null());
    let mut daemon = Daemon::spawn(&mut command, &home.path().join("first.log"));
    let text = greeting(&mut daemon);
    assert!(text.contains("cachectl  ~/.local/state/cache-server/bin/cachectl\n"), "{text}");
    let mut cachectl = Command::new(state(home.path()).join("bin/cachectl"));
    let output = cachectl.arg("status").env_clear().env("HOME", home.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("main"), "{output:?}");
}

#[test]
fn the_greeting_fits_on_a_screen() {
    let home = tempfile::tempdir().unwrap();
    let mut daemon = start(home.path(), "first.log");
    assert_fits_on_a_screen(&greeting(&mut daemon), home.path());
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

#[test]
fn a_state_directory_that_cannot_be_made_is_one_fault_with_what_to_do() {
    let site = Site::start();
    fs::write(site.directory().join("file"), "").unwrap();
    for arguments in [&["check-config"][..], &["--config"]] {
        let output = run_changed(&site, arguments, |config| {
            config["server"]["state-dir"] = json!(site.directory().join("file/state"));
            config["server"]["server-port"] = json!(15_008);
            let server = config["server"].as_object_mut().unwrap();
            for key in ["admin-socket", "deploy-port", "metrics-address"] {
                server.remove(key);
            }
            config["caches"].as_array_mut().unwrap().truncate(1);
            config["caches"][0]["port"] = json!(15_009);
        });
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            complaint.matches("irectory (os error").count() + complaint.matches("not a directory").count(),
            1,
            "{complaint}"
        );
        assert!(complaint.contains("state-dir"), "{complaint}");
    }
}
