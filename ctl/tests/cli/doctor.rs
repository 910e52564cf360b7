//! The doctor, with and without a daemon.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::support::{Daemon, Run, cachectl, finish};
use super::{says, status};

fn finding(level: &str) -> Value {
    json!({"level": level, "subject": "clock", "message": "is right", "advice": "wind it up"})
}

/// The findings on each subject, as `--json` shows them.
fn findings(run: &Run) -> Vec<(String, String)> {
    let findings: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    findings.iter().map(|finding| (text(finding, "subject"), text(finding, "level"))).collect()
}

#[test]
fn the_findings_of_the_daemon_are_beside_those_of_cachectl() {
    for (level, code) in [("ok", 0), ("warn", 0), ("error", 9)] {
        let daemon = Daemon::start(&[
            ("GET /v1/status", says(status())),
            ("GET /v1/doctor", says(json!([finding(level)]))),
        ]);
        let run = daemon.run("doctor");
        assert_eq!(run.code, code, "{level}: {}", run.stderr);
        assert!(
            run.stdout.contains("is right") && run.stdout.contains("clock: Wind it up.\n"),
            "{}",
            run.stdout
        );
        let told = if code == 0 { "" } else { "cachectl: 1 error found\n" };
        assert_eq!(run.stderr, told);

        let run = daemon.run("doctor --json");
        assert_eq!(run.code, code, "{level}: {}", run.stderr);
        let ok = |subject: &str| (subject.to_owned(), "ok".to_owned());
        let expected = [ok("daemon"), ok("version"), ("clock".to_owned(), level.to_owned())];
        assert_eq!(findings(&run), expected);
    }
}

#[test]
fn a_socket_that_everyone_can_use_is_a_warning() {
    let daemon = |mode: u32| {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("admin.sock");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(&socket, "").unwrap();
        fs::set_permissions(&socket, Permissions::from_mode(mode)).unwrap();
        let mut status = status();
        status["listeners"] = json!([{"purpose": "admin", "address": socket, "cache": null}]);
        let daemon = Daemon::start(&[("GET /v1/status", says(status)), ("GET /v1/doctor", says(json!([])))]);
        (daemon, dir)
    };
    let level = |daemon: &Daemon| {
        let run = daemon.run("doctor --json");
        findings(&run).into_iter().find(|(subject, _)| subject == "admin socket").unwrap().1
    };
    let (closed, _dir) = daemon(0o660);
    assert_eq!(level(&closed), "ok");
    let (open, dir) = daemon(0o666);
    assert_eq!(level(&open), "warn");
    let text = open.run("doctor").succeeds();
    assert!(text.contains("everyone on this machine can use") && text.contains("chmod o-w"), "{text}");
    // Others cannot get to the socket.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o750)).unwrap();
    assert_eq!(level(&open), "ok");
}

#[test]
fn a_daemon_of_another_version_is_a_warning() {
    let mut status = status();
    status["version"] = json!("0.0.1");
    let daemon = Daemon::start(&[("GET /v1/status", says(status)), ("GET /v1/doctor", says(json!([])))]);
    let text = daemon.run("doctor").succeeds();
    assert!(text.contains("the daemon is 0.0.1"), "{text}");
}

#[test]
fn without_a_daemon_the_doctor_says_why_and_which_config_to_check() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("cache-server/config.yml");
    fs::create_dir(config.parent().unwrap()).unwrap();
    fs::write(&config, "").unwrap();
    let mut command = cachectl();
    command.arg("doctor").env("XDG_CONFIG_HOME", dir.path()).env("XDG_STATE_HOME", dir.path());
    command.env("CACHE_SERVER_SOCKET", dir.path().join("admin.sock"));
    let run = finish(&mut command);
    assert_eq!((run.code, run.stderr.as_str()), (9, "cachectl: 1 error found\n"), "{}", run.stdout);
    let seen =
        format!("cannot reach the daemon: {} does not exist\n", dir.path().join("admin.sock").display());
    assert!(
        run.stdout.contains(&seen) && run.stdout.contains("daemon: Is the daemon running?"),
        "{}",
        run.stdout
    );
    let check = format!("config: Check it with `cachectl doctor --config {}`.\n", config.display());
    assert!(run.stdout.contains(&check), "{}", run.stdout);
}

#[test]
fn a_daemon_without_a_doctor_is_not_called_healthy() {
    let daemon = Daemon::start(&[("GET /v1/status", says(status()))]);
    let run = daemon.run("doctor");
    assert_eq!(run.code, 9);
    assert!(run.stdout.contains("does not support GET /v1/doctor"), "{}", run.stdout);
}
