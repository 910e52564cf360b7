//! The real binary against a scripted daemon.
#![allow(clippy::unwrap_used)]

mod completion;
mod doctor;
mod generated;
mod jobs;
mod keys;
mod network;
mod paths;
mod pins;
mod statuses;
mod storages;
mod support;
mod workers;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use admin_api::{CreateToken, Permission};
use serde_json::{Value, json};
use support::{Answer, Daemon, cachectl, clean, finish, run};

const HASH: &str = "0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq";

fn says(body: Value) -> Answer {
    Answer::Says(200, body.to_string())
}

fn refuses(status: u16, code: &str) -> Answer {
    let error = json!({"code": code, "message": "that went wrong", "hint": "do this"});
    Answer::Says(status, error.to_string())
}

fn status() -> Value {
    json!({
        "version": "0.1.0", "api_version": 1, "started_at": 1, "uptime_seconds": 61,
        "config": null, "state_dir": "/s", "listeners": [], "caches": [], "storages": [],
    })
}

fn cache(name: &str) -> Value {
    json!({
        "name": name, "enabled": true, "access": "public", "paths": 1, "file_bytes": 2,
        "nar_bytes": 3, "url": "http://h", "public_keys": [], "signing": "auto", "gc_held_back": 0,
    })
}

fn path(cache: &str) -> Value {
    json!({
        "cache": cache, "store_path": format!("/nix/store/{HASH}-hello"), "nar_hash": "sha256:n",
        "nar_size": 3, "file_hash": "sha256:f", "file_size": 2, "compression": "zstd",
        "url": "nar/f.nar.zst", "references": [], "deriver": null, "signatures": [],
        "storage": "default", "created_at": 1, "last_used_at": null, "pushed_by": null, "damaged": false, "missing": [], "withheld": false,
    })
}

fn token(id: &str) -> Value {
    json!({
        "id": id, "subject": "ci", "caches": ["main"], "all": false, "permission": "write",
        "created_at": 1, "expires_at": null, "revoked_at": 2,
    })
}

#[test]
fn token_create_prints_the_token_and_nothing_else() {
    let created = json!({"id": "7", "token": "ey.J.x", "expires_at": 4_000_000_000_u64});
    let daemon = Daemon::start(&[("POST /v1/tokens", says(created.clone()))]);
    let line = "token create --cache main --permission write --expires 90d --subject ci";
    assert_eq!(daemon.run(line).succeeds(), "ey.J.x\n");

    let sent: CreateToken = serde_json::from_slice(&daemon.seen()[0].body).unwrap();
    let expected = CreateToken {
        subject: Some("ci".into()),
        caches: vec!["main".into()],
        all: false,
        workspace: None,
        agent: None,
        permission: Permission::Write,
        expires_seconds: Some(90 * 24 * 60 * 60),
        daily_limit: None,
    };
    assert_eq!(sent, expected);

    let line = "token create --workspace production --permission activate";
    assert_eq!(daemon.run(line).succeeds(), "ey.J.x\n");
    let sent = daemon.last_body();
    assert_eq!(sent["workspace"], "production");
    assert_eq!((&sent["permission"], &sent["caches"]), (&json!("activate"), &json!([])));

    assert_eq!(daemon.run("agent token webserver --expires 1d").succeeds(), "ey.J.x\n");
    let sent = daemon.last_body();
    assert_eq!((&sent["permission"], &sent["agent"]), (&json!("agent"), &json!("webserver")));
    assert_eq!(sent["expires_seconds"], 24 * 60 * 60);

    let line = "token create --all --permission read --json";
    let printed = daemon.run(line).succeeds();
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), created);
}

#[test]
fn a_token_that_cannot_be_printed_is_named_for_revoking() {
    let created = json!({"id": "7", "token": "secret", "expires_at": null});
    let daemon = Daemon::start(&[("POST /v1/tokens", says(created))]);
    let mut command = cachectl();
    command.args(["token", "create", "--all", "--permission", "read", "--socket"]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let failed = finish(command.arg(&daemon.socket).stdout(full)).fails(1);
    assert!(failed.contains("cachectl token revoke 7"), "{failed}");
    assert!(!failed.contains("secret"), "{failed}");
}

#[test]
fn tokens_are_listed_and_revoked() {
    let daemon = Daemon::start(&[
        ("GET /v1/tokens", says(json!([token("7")]))),
        ("POST /v1/tokens/7/revoke", says(token("7"))),
    ]);
    assert!(daemon.run("token list").succeeds().contains("ci"));
    assert_eq!(daemon.run("token revoke 7").succeeds(), "Revoked the token 7 of ci (write, main).\n");
    assert!(daemon.run("token revoke 8").fails(5).contains("no such thing"));
}

#[test]
fn status_is_shown_to_people_and_passed_on_as_json() {
    let daemon = Daemon::start(&[("GET /v1/status", says(status()))]);
    let text = daemon.run("status").succeeds();
    assert!(text.starts_with("cache-server 0.1.0, up 1m 1s"), "{text}");
    assert!(!text.contains('\x1b') && !text.contains('─'), "{text}");
    let json = daemon.run("status --json").succeeds();
    let mut expected = status();
    expected["upstreams"] = json!([]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), expected);
}

#[test]
fn colour_can_be_forced_into_a_pipe() {
    let daemon = Daemon::start(&[("GET /v1/status", says(status()))]);
    let run = |variables: &[(&str, &str)]| {
        let mut command = cachectl();
        command.arg("status").arg("--socket").arg(&daemon.socket).envs(variables.iter().copied());
        finish(&mut command).succeeds()
    };
    assert!(run(&[("CLICOLOR_FORCE", "1")]).contains("\x1b[1m"));
    for variables in [&[("CLICOLOR_FORCE", "0")][..], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]] {
        assert!(!run(variables).contains('\x1b'), "{variables:?}");
    }
}

#[test]
fn every_request_states_the_version_of_the_api() {
    let daemon = Daemon::start(&[("GET /v1/status", says(status()))]);
    daemon.run("status").succeeds();
    let versions: Vec<_> = daemon.seen().into_iter().map(|seen| seen.version).collect();
    assert_eq!(versions, [Some("1".to_owned())]);
}

#[test]
fn caches_are_listed_and_described() {
    let mut info = cache("main");
    info.as_object_mut().unwrap().extend(
        json!({
            "priority": 30, "compression": "zstd", "retention_days": null, "max_bytes": null, "collects_when_full": false, "port": null,
            "storages": [], "keys": [], "upstreams": [], "setup": [],
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    let daemon = Daemon::start(&[
        ("GET /v1/caches", says(json!([cache("main")]))),
        ("GET /v1/caches/main", says(info)),
    ]);
    assert!(daemon.run("cache list").succeeds().contains("main"));
    assert!(daemon.run("cache info main").succeeds().contains("forever"));
    daemon.run("cache info other").fails(5);
}

#[test]
fn a_path_is_looked_up_in_one_cache_or_in_all() {
    let caches = json!([cache("one"), cache("two"), cache("three")]);
    let daemon = Daemon::start(&[
        ("GET /v1/caches", says(caches)),
        ("GET /v1/caches/one/paths/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq", says(path("one"))),
        ("GET /v1/caches/three/paths/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq", says(path("three"))),
    ]);
    let json = daemon.run(&format!("path info /nix/store/{HASH}-hello --json")).succeeds();
    let found: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(found, json!([path("one"), path("three")]));

    let json = daemon.run(&format!("path info {HASH} --cache three --json")).succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), path("three"));

    daemon.run(&format!("path info {HASH} --cache two")).fails(5);
    let failed = daemon.run(&format!("path info {} --json", HASH.replace('0', "1"))).fails(5);
    assert!(failed.contains("looked in: one, two, three"), "{failed}");
}

#[test]
fn a_cache_that_fails_is_not_mistaken_for_one_without_the_path() {
    let daemon = Daemon::start(&[
        ("GET /v1/caches", says(json!([cache("one")]))),
        ("GET /v1/caches/one/paths/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq", refuses(500, "internal")),
    ]);
    daemon.run(&format!("path info {HASH}")).fails(1);
}

#[test]
fn each_refusal_of_the_daemon_has_its_exit_code_and_hint() {
    for (status, code, exit) in [
        (404, "not-found", 5),
        (400, "invalid", 6),
        (409, "conflict", 6),
        (426, "version-mismatch", 7),
        (503, "unavailable", 1),
        (500, "internal", 1),
        (418, "teapot", 1),
    ] {
        let daemon = Daemon::start(&[("GET /v1/caches", refuses(status, code))]);
        let told = daemon.run("cache list").fails(exit);
        assert_eq!(told, "cachectl: that went wrong\nDo this.\n", "{code}");
    }
}

#[test]
fn a_wrong_command_line_exits_with_2_and_sends_no_request() {
    let daemon = Daemon::start(&[]);
    for line in [
        "",
        "stauts",
        "token create --permission write",
        "token create --cache a --all --permission write",
        "token create --cache a --permission own",
        "token create --cache a --permission read --expires soon",
        "path info nonsense",
        "storage drain",
        "storage scrub --rate fast",
        "storage scrub --rate 0",
        "usage --by size",
        "usage --top 0",
        "gc --to-size much",
        "gc --older-than old",
        "gc --dry-run --explain 0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq",
        "pin add release",
        "pin add release nonsense",
        "pin add release 0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq --keep-days 0",
        "pin add release 0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq --keep-days 1 --keep-revisions 1",
        "path list --all --limit 5",
        "completions tcsh",
        "status --timeout 0s",
    ] {
        daemon.run(line).fails(2);
    }
    assert!(daemon.seen().is_empty());
}

#[test]
fn another_version_of_the_api_is_reported_whatever_else_the_daemon_says() {
    let daemon = Daemon::start_version(Some("2"), &[]);
    let told = daemon.run("token list").fails(7);
    assert!(told.contains("speaks version 1") && told.contains("speaks version 2"), "{told}");

    // Some proxy or an odd daemon leaves the header out; the status says it too, in whatever shape.
    let shape = json!({"api_version": 2, "name": "unlike anything known here"});
    let daemon = Daemon::start_version(None, &[("GET /v1/status", says(shape))]);
    daemon.run("status").fails(7);
}

#[test]
fn a_reply_that_is_not_of_the_api_is_reported_as_such() {
    let not_found = Answer::Says(404, "Not Found".into());
    for answer in [not_found, Answer::Says(200, "<html>".into()), Answer::Says(200, "{}".into())] {
        let daemon = Daemon::start_version(None, &[("GET /v1/caches", answer)]);
        let told = daemon.run("cache list").fails(1);
        assert!(told.contains("GET /v1/caches") && told.contains("same release"), "{told}");
    }
    let daemon = Daemon::start_version(Some("one"), &[]);
    daemon.run("cache list").fails(1);
}

#[test]
fn a_silent_daemon_times_out() {
    let daemon = Daemon::start(&[("GET /v1/status", Answer::Nothing)]);
    let told = daemon.run("status --timeout 1s").fails(3);
    assert!(told.contains("did not answer within 1s"), "{told}");
}

#[test]
fn an_endless_reply_is_cut_off() {
    let daemon = Daemon::start(&[("GET /v1/status", Answer::Floods)]);
    let told = daemon.run("status").fails(1);
    assert!(told.contains("larger than"), "{told}");
}

#[test]
fn half_a_reply_is_an_error() {
    let daemon = Daemon::start(&[("GET /v1/status", Answer::BreaksOff)]);
    let told = daemon.run("status").fails(3);
    assert!(told.contains("lost the connection"), "{told}");
}

#[test]
fn a_missing_daemon_is_reported_with_the_place_and_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let told = run(&socket, "status").fails(3);
    let place = format!("cannot reach the daemon: {} does not exist\n", socket.display());
    assert!(told.contains(&place) && told.contains("Is the daemon running?"), "{told}");

    // What a killed daemon leaves behind.
    drop(UnixListener::bind(&socket).unwrap());
    let told = run(&socket, "status").fails(3);
    assert!(told.contains("is left over from a daemon that has stopped"), "{told}");
}

#[test]
fn the_socket_is_found_in_the_state_directory_of_the_user() {
    let daemon = Daemon::start(&[("GET /v1/status", says(status()))]);
    let state = daemon.dir.path().join("cache-server");
    fs::create_dir(&state).unwrap();
    fs::rename(&daemon.socket, state.join("admin.sock")).unwrap();
    let home = daemon.dir.path();
    finish(cachectl().arg("status").env("XDG_STATE_HOME", home)).succeeds();
    let socket = state.join("admin.sock");
    finish(cachectl().arg("status").env("CACHE_SERVER_SOCKET", socket)).succeeds();
}

#[test]
fn a_socket_that_denies_access_is_reported_with_its_mode_and_group() {
    let daemon = Daemon::start(&[("GET /v1/status", says(status()))]);
    fs::set_permissions(daemon.dir.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&daemon.socket, Permissions::from_mode(0o000)).unwrap();

    // No permission stops root, so root runs this as another user, who cannot enter the directory of
    // the build either.
    let binary = daemon.dir.path().join("cachectl");
    fs::copy(env!("CARGO_BIN_EXE_cachectl"), &binary).unwrap();
    let mut command = clean(Command::new(&binary));
    if fs::metadata(&binary).unwrap().uid() == 0 {
        command.uid(65_534).gid(65_534);
    }
    let told = finish(command.arg("status").arg("--socket").arg(&daemon.socket)).fails(4);
    assert!(told.contains("permission denied to the daemon"), "{told}");
    assert!(told.contains("has mode 0000 and group") && told.contains("sudo"), "{told}");
    assert!(daemon.seen().is_empty());
}

#[test]
fn a_reader_that_stops_reading_is_not_a_failure() {
    let daemon = Daemon::start(&[("GET /v1/status", says(status()))]);
    let mut command = cachectl();
    command.arg("status").arg("--socket").arg(&daemon.socket);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
