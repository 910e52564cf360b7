//! Completion of names, typed at real shells on a terminal.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::support::{Daemon, clean};
use super::{cache, says, status, storages, token, workers};

/// What is typed, and the request that follows if the shell completed it.
const TYPED: &[(&str, &str)] = &[
    ("cachectl cache info ma", "GET /v1/caches/main"),
    ("cachectl worker pause scr", "POST /v1/workers/scrubber/pause"),
    ("cachectl agent info web", "GET /v1/agents/webserver"),
    ("cachectl workspace info prod", "GET /v1/workspaces/production"),
    ("cachectl job stop 4", "POST /v1/jobs/42/stop"),
    ("cachectl token revoke 0b9f", "POST /v1/tokens/0b9f5a9e/revoke"),
    ("cachectl pin list --cache ma", "GET /v1/pins?cache=main"),
    ("cachectl storage drain old", "POST /v1/jobs"),
];

fn daemon() -> Daemon {
    let mut with_storage = status();
    with_storage["storages"] = json!([storages::storage("main", "old-disk")]);
    let mut worker = workers::worker("idle");
    worker["name"] = json!("scrubber");
    let agent = json!({
        "id": "1", "name": "webserver", "workspace": "production", "declared": true, "online_since": null,
        "last_seen_at": null, "version": null, "system": null, "running": null, "newest": null,
    });
    let mut live_token = token("0b9f5a9e");
    live_token["revoked_at"] = Value::Null;
    let workspace = json!({"name": "production", "cache": "main", "agents": 1, "online": 0, "deploying": 0});
    Daemon::start(&[
        ("GET /v1/status", says(with_storage)),
        ("GET /v1/caches", says(json!([cache("main"), cache("internal")]))),
        ("GET /v1/workers", says(json!([worker]))),
        ("GET /v1/agents", says(json!([agent]))),
        ("GET /v1/workspaces", says(json!([workspace]))),
        ("GET /v1/jobs", says(json!([workers::job("42", "running")]))),
        ("GET /v1/tokens", says(json!([live_token]))),
    ])
}

/// Types the lines, each with a tab at its end, at a shell that reads `set_up` first.
fn type_at(shell: &[&str], set_up: &str) {
    let daemon = daemon();
    let home = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/terminal.py");
    let programs = Path::new(env!("CARGO_BIN_EXE_cachectl")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = clean(Command::new("python3"));
    command.arg(script).args(shell).arg("--").arg(set_up);
    command.args(TYPED.iter().map(|(line, _)| format!("{line}<TAB>")));
    command.env("PATH", path).env("HOME", home.path()).env("TERM", "xterm").env("LANG", "C.UTF-8");
    let output = command.env("CACHE_SERVER_SOCKET", &daemon.socket).output().unwrap();
    let screen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{screen}\n{}", String::from_utf8_lossy(&output.stderr));
    let seen = daemon.requests();
    for (line, request) in TYPED {
        assert!(seen.iter().any(|seen| seen == request), "{line}: no {request} in {seen:#?}\n{screen}");
    }
}

#[test]
fn bash_completes_names() {
    type_at(&["bash", "--norc", "-i"], "PS1='READY''> '; source <(cachectl completions bash)");
}

#[test]
fn zsh_completes_names() {
    let set_up = "PS1='READY''> '; autoload -Uz compinit; compinit -u; source <(cachectl completions zsh)";
    type_at(&["zsh", "-f", "-i"], set_up);
}

#[test]
fn fish_completes_names() {
    let set_up = "function fish_prompt; echo 'READY''> '; end; cachectl completions fish | source";
    type_at(&["fish", "--no-config", "-i"], set_up);
}
