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
    assert_eq!(events(&log, "migrated the schema of the catalog").len(), 1, "{log}");
    let listening = events(&log, "listening");
    for purpose in ["api", "deploy", "cache", "admin"] {
        assert!(listening.iter().any(|line| line["purpose"] == purpose), "{purpose}: {listening:?}");
    }
    let storages = events(&log, "storage");
    assert!(
        storages.iter().any(|line| line["cache"] == "pub" && line["is_readable"] == true),
        "{storages:?}"
    );
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
