//! The log: what the daemon says of itself at the start, of each push, and of what a client was told only the number of.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, EIO, Fault};
use crate::harness::{Path, Permission, SOON, Site, wait_for};

/// The events of the log with this message.
fn events(log: &str, message: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == message).collect()
}

fn site() -> Site {
    Site::launched(
        |config, _| config["server"]["log"] = json!({"format": "json"}),
        |directory| {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            faulty::preload(&mut command, directory, "/db.sqlite");
            command
        },
    )
}

#[test]
fn the_start_has_a_line_for_each_part() {
    let mut site = site();
    // The daemon answers a moment before the last of them.
    let log = wait_for(SOON, "the storages are in the log", || {
        let log = site.daemon().log();
        (!events(&log, "storage").is_empty()).then_some(log)
    });
    let [start] = events(&log, "starting").try_into().unwrap();
    for field in ["version", "config", "state_dir", "database"] {
        assert!(start[field].is_string(), "{start}");
    }
    let [opened] = events(&log, "opened the database of the catalog").try_into().unwrap();
    assert!(opened["database"].as_str().unwrap().ends_with("/db.sqlite"), "{opened}");
    assert!(
        opened["migrated"].as_u64().unwrap() > 0 && opened["migrated"] == opened["migrations"],
        "{opened}"
    );
    let listening = events(&log, "listening");
    for purpose in ["api", "deploy", "cache", "admin"] {
        assert!(listening.iter().any(|line| line["purpose"] == purpose), "{purpose}: {listening:?}");
    }
    let storages = events(&log, "storage");
    assert!(
        storages.iter().any(|line| line["cache"] == "pub" && line["is_readable"] == true),
        "{storages:?}"
    );
    // Also when there is nothing to migrate.
    assert!(site.stop_and_restart().success());
    let again = events(&site.daemon().log(), "opened the database of the catalog").pop().unwrap();
    assert_eq!((&again["migrated"], &again["migrations"]), (&json!(0), &opened["migrations"]), "{again}");
}

#[test]
fn each_push_and_each_job_has_its_line() {
    let mut site = site();
    let path = Path::small("path");
    site.pusher("pub").push(&path);
    site.pusher("pub").push(&path);
    let log = site.daemon().log();
    let [pushed] = events(&log, "pushed").try_into().unwrap();
    assert_eq!(pushed["cache"], "pub");
    assert_eq!(pushed["path"], path.base_name());
    assert_eq!(pushed["file_bytes"], path.file.len());
    site.cachectl_ok(&["gc", "--yes"]);
    for message in ["a job has started", "a job has ended"] {
        // The client hears of the end of a job before the log does.
        let logged = wait_for(SOON, message, || events(&site.daemon().log(), message).first().cloned());
        assert_eq!(logged["job"], "1");
    }
}

#[test]
fn an_error_of_the_server_has_a_number_under_which_the_log_has_the_cause() {
    let mut site = site();
    let path = Path::small("path");
    site.pusher("pub").push(&path);
    let token = site.token("pub", Permission::Write);
    faulty::set(site.directory(), Some(Fault::Write(EIO)));
    let body = json!({"name": "pin", "storePath": path.store_path(), "artifacts": [], "keep": null});
    let reply = site.api().post("/api/v1/cache/pub/pin").bearer(&token).json(&body).send().expect(503);
    faulty::set(site.directory(), None);
    let (_, rest) = reply.text().split_once("(request ").expect("a number");
    let (id, _) = rest.split_once(')').unwrap();
    assert_eq!(id.len(), 12);
    let log = site.daemon().log();
    assert!(log.lines().any(|line| line.contains(id) && line.contains("error")), "{id} in {log}");
}

/// The lines about requests.
fn answered(site: &mut Site) -> Vec<Value> {
    events(&site.daemon().log(), "answered")
}

#[test]
fn requests_are_logged_as_a_sample_that_stands_for_all_or_one_by_one_if_asked_for() {
    const MANY: u64 = 400;
    let mut site = site();
    let path = Path::small("path");
    site.pusher("pub").push(&path);
    let token = site.token("priv", Permission::Read);
    assert_eq!(answered(&mut site), Vec::<Value>::new(), "there are none unless they are asked for");
    let filter = |site: &Site, filter: &str| {
        site.edit_config(|config| config["server"]["log"]["filter"] = json!(filter));
        site.cachectl_ok(&["reload"]);
    };

    filter(&site, "info,requests=debug");
    site.api().get("/api/v1/cache/priv?secret=query").bearer(&token).send().expect(200);
    site.reader("pub").assert_has(&path);
    site.reader("pub").assert_lacks(&Path::small("absent"));
    site.api().get("/nothing/here").send().expect(404);
    let lines = answered(&mut site);
    let line = |path: &str| {
        let line = lines.iter().find(|line| line["path"] == path);
        line.unwrap_or_else(|| panic!("{path}: {lines:?}")).clone()
    };
    let narinfo = line(&format!("/{}.narinfo", path.hash));
    assert_eq!((&narinfo["method"], &narinfo["status"]), (&json!("GET"), &json!(200)), "{narinfo}");
    assert_eq!(narinfo["cache"], "pub");
    assert!(narinfo["microseconds"].is_u64() && narinfo["stands_for"] == 1, "{narinfo}");
    assert_eq!(line("/api/v1/cache/priv")["client"], "127.0.0.1");
    assert_eq!(line("/nothing/here")["status"], 404);
    let text = format!("{lines:?}");
    assert!(!text.contains("secret") && !text.contains(&token), "{text}");

    let before = lines.len();
    for _ in 0..MANY {
        site.reader("pub").narinfo(&path);
    }
    let lines = answered(&mut site).split_off(before);
    let stands_for: u64 = lines.iter().map(|line| line["stands_for"].as_u64().unwrap()).sum();
    assert!((lines.len() as u64) < MANY, "{}", lines.len());
    // What a second ends with may be short of a hundred.
    assert!(stands_for <= MANY, "{stands_for}");

    filter(&site, "info,requests=trace");
    let before = answered(&mut site).len();
    for _ in 0..MANY {
        site.reader("pub").narinfo(&path);
    }
    assert_eq!((answered(&mut site).len() - before) as u64, MANY);
}

/// What the daemon says before it ends, on a terminal.
fn on_a_terminal(variables: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    // A port that cannot be opened.
    std::fs::write(&config, "server: {hostname: 192.0.2.1, standalone: true}\ncaches: [{name: main}]\n")
        .unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", "import pty, sys; pty.spawn(sys.argv[1:])", DAEMON, "--config"]).arg(&config);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", directory.path()).env("TERM", "xterm").envs(variables.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_log_has_colours_on_a_terminal_that_wants_them_and_nowhere_else() {
    let screen = on_a_terminal(&[]);
    assert!(screen.contains("cannot start") && screen.contains('\x1b'), "{screen}");
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let screen = on_a_terminal(&[variable]);
        assert!(screen.contains("cannot start") && !screen.contains('\x1b'), "{variable:?}: {screen}");
    }
    let mut piped = Site::start();
    let log = piped.daemon().log();
    assert!(log.contains("listening") && !log.contains('\x1b'), "{log}");
}
