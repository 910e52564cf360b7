//! Long jobs: what is requested, how the progress is shown, and how the end is reported.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use admin_api::JobRequest;
use serde_json::{Value, json};

use super::support::{Answer, Daemon, Then, cachectl, clean, finish};
use super::{cache, refuses, says};

fn job(kind: &str, state: &str) -> Value {
    json!({
        "id": "7", "kind": kind, "subject": "main/hdd", "started_at": 5, "finished_at": null, "state": state,
        "done": 0, "total": null, "unit": "bytes", "last_error": null, "summary": null,
    })
}

fn started(kind: &str) -> Value {
    json!({"event": "started", "job": job(kind, "running"), "joined": false})
}

fn progress() -> Value {
    json!({"event": "progress", "done": 1 << 20, "total": 3 << 20, "unit": "bytes", "message": "reading main/hdd"})
}

fn note() -> Value {
    json!({"event": "note", "level": "warn", "text": "nar/1.nar.zst is damaged\u{1b}[2J"})
}

fn scrubbed(damaged: u64, unreadable: u64) -> Value {
    let summary = json!({
        "kind": "scrub", "files": 1234, "bytes": 3 << 20, "damaged": damaged, "unreadable": unreadable,
    });
    json!({"event": "done", "summary": summary})
}

fn streams(events: &[Value], then: Then) -> Answer {
    Answer::Streams(events.iter().map(Value::to_string).collect(), then)
}

/// A daemon that answers a request for a job with `events`.
fn daemon(events: &[Value], then: Then) -> Daemon {
    Daemon::start(&[("POST /v1/jobs", streams(events, then))])
}

#[test]
fn each_command_requests_its_job_with_every_option() {
    let text = |text: &str| Some(text.to_owned());
    for (line, expected) in [
        ("storage drain hdd", JobRequest::Drain { cache: None, storage: "hdd".into() }),
        ("storage drain hdd --cache main", JobRequest::Drain { cache: text("main"), storage: "hdd".into() }),
        ("storage rebalance --cache main", JobRequest::Rebalance { cache: text("main") }),
        ("storage scrub", JobRequest::Scrub { cache: None, storage: None, rate: None, restart: false }),
        (
            "storage scrub hdd --cache main --rate 50MB --restart",
            JobRequest::Scrub {
                cache: text("main"),
                storage: text("hdd"),
                rate: Some(50_000_000),
                restart: true,
            },
        ),
        ("fsck", JobRequest::Fsck { cache: None, storage: None, rebuild: false, dry_run: false }),
        (
            "fsck --cache main --rebuild",
            JobRequest::Fsck { cache: text("main"), storage: None, rebuild: true, dry_run: false },
        ),
        ("fsck --dry-run", JobRequest::Fsck { cache: None, storage: None, rebuild: false, dry_run: true }),
        (
            "gc",
            JobRequest::Gc {
                cache: None,
                dry_run: false,
                to_size: None,
                older_than: None,
                accept_clock: false,
                no_trash: false,
                brief: false,
                for_room: false,
            },
        ),
        (
            "gc --accept-clock",
            JobRequest::Gc {
                cache: None,
                dry_run: false,
                to_size: None,
                older_than: None,
                accept_clock: true,
                no_trash: false,
                brief: false,
                for_room: false,
            },
        ),
        (
            "gc --cache main --dry-run --to-size 5GiB --older-than 2d",
            JobRequest::Gc {
                cache: text("main"),
                dry_run: true,
                to_size: Some(5 << 30),
                older_than: Some(2 * 24 * 60 * 60),
                accept_clock: false,
                no_trash: false,
                brief: false,
                for_room: false,
            },
        ),
        (
            "gc --older-than 0s --to-size 0",
            JobRequest::Gc {
                cache: None,
                dry_run: false,
                to_size: Some(0),
                older_than: Some(0),
                accept_clock: false,
                no_trash: false,
                brief: false,
                for_room: false,
            },
        ),
        ("cache delete old --yes", JobRequest::DeleteCache { cache: "old".into() }),
        ("backup /b/catalog.sqlite", JobRequest::Backup { file: "/b/catalog.sqlite".into() }),
    ] {
        let daemon = daemon(&[started("scrub"), scrubbed(0, 0)], Then::Ends);
        assert_eq!(daemon.run(line).code, 0, "{line}");
        let sent: JobRequest = serde_json::from_slice(&daemon.seen()[0].body).unwrap();
        assert_eq!(sent, expected, "{line}");
    }
}

#[test]
fn without_a_terminal_the_progress_is_in_lines_and_the_result_on_standard_output() {
    let run =
        daemon(&[started("scrub"), progress(), note(), scrubbed(0, 0)], Then::Ends).run("storage scrub");
    assert_eq!(run.stdout, "Read 1,234 files (3.00 MiB), all intact.\n");
    // Progress is not worth a line so soon.
    assert_eq!(
        run.stderr,
        "Started the scrub of main/hdd (job 7).\nwarning: nar/1.nar.zst is damaged\\u{1b}[2J\n"
    );
    assert_eq!(run.code, 0);
}

#[test]
fn a_running_job_is_joined() {
    let mut joined = started("drain");
    joined["joined"] = json!(true);
    let left = json!({"kind": "drain", "moved_files": 2, "moved_bytes": 5, "left_files": 0, "left_bytes": 0});
    let done = json!({"event": "done", "summary": left});
    let run = daemon(&[joined, done], Then::Ends).run("storage drain hdd");
    assert_eq!(run.stdout, "Moved 2 files (5 B), nothing left to move.\n");
    assert!(run.stderr.starts_with("Joined the drain of main/hdd, which started "), "{}", run.stderr);
    assert!(run.stderr.ends_with(" ago (job 7).\n"), "{}", run.stderr);
}

#[test]
fn with_json_every_event_is_passed_on_and_nothing_else() {
    let unknown = json!({"event": "paused", "until": 5});
    let events = [started("scrub"), progress(), unknown, note(), scrubbed(0, 0)];
    let json = daemon(&events, Then::Ends).run("storage scrub --json").succeeds();
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, events);
}

#[test]
fn nothing_is_awaited_after_the_last_event() {
    daemon(&[started("scrub"), scrubbed(0, 0)], Then::Hangs).run("storage scrub --json").succeeds();
}

#[test]
fn each_bad_end_has_its_exit_code_and_says_what_to_do() {
    let failed =
        json!({"event": "failed", "error": {"code": "unavailable", "message": "no room", "hint": null}});
    let stopped = |cause: &str| json!({"event": "stopped", "cause": cause, "job": job("scrub", "stopped")});
    let drained = json!({
        "event": "done",
        "summary": {"kind": "drain", "moved_files": 2, "moved_bytes": 5, "left_files": 3, "left_bytes": 9},
    });
    let checked = json!({
        "event": "done",
        "summary": {
            "kind": "fsck", "dry_run": false,
            "storages": [{
                "cache": "main", "storage": "hdd", "files_checked": 9, "missing": 1, "wrong_size": 0,
                "orphans_removed": 0, "narinfos_rewritten": 0, "unknown_paths": 0, "paths_rebuilt": 0, "problems": 0,
            }],
        },
    });
    let collected = json!({
        "event": "done",
        "summary": {
            "kind": "gc", "dry_run": false,
            "caches": [{
                "cache": "main", "paths_before": 9, "paths_removed": 2, "files_removed": 2, "bytes_freed": 5,
                "postponed": 3, "pinned": 1, "kept": 4,
            }],
        },
    });
    let deleted = json!({
        "event": "done",
        "summary": {"kind": "delete-cache", "paths": 9, "files": 9, "bytes_freed": 9, "left_files": 1},
    });
    for (last, code, told, hint) in [
        (
            collected,
            8,
            "is incomplete: 3 paths not removed because their storage does not answer",
            "storage list",
        ),
        (deleted, 8, "is incomplete: 1 file not deleted, so the cache stays", "storage list"),
        (failed, 8, "the scrub of main/hdd failed: no room", "log"),
        (stopped("request"), 8, "was stopped with `cachectl job stop`", "Repeat"),
        (stopped("shutdown"), 8, "was stopped because the daemon shut down", "Repeat"),
        (stopped("full-moon"), 8, "the scrub of main/hdd was stopped", "Repeat"),
        (drained, 8, "is incomplete: 3 files (9 B) not moved", "storage list"),
        (scrubbed(0, 2), 8, "is incomplete: 2 files not read", "storage list"),
        (scrubbed(1, 2), 9, "the scrub of main/hdd found damage", "Push their paths"),
        (checked, 9, "found damage", "Push their paths"),
    ] {
        let events = [started("scrub"), last];
        for line in ["storage scrub", "storage scrub --json"] {
            let run = daemon(&events, Then::Ends).run(line);
            assert_eq!(run.code, code, "{line}: {}", run.stderr);
            assert!(run.stderr.contains(told) && run.stderr.contains(hint), "{line}: {}", run.stderr);
        }
    }
}

#[test]
fn a_daemon_that_dies_leaves_the_outcome_open() {
    for (then, told) in [(Then::BreaksOff, "lost the connection"), (Then::Ends, "ended its reply too early")]
    {
        let run = daemon(&[started("scrub"), progress()], then).run("storage scrub");
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert!(run.stderr.contains("the outcome of the scrub of main/hdd is unknown: "), "{}", run.stderr);
        assert!(
            run.stderr.contains("The job may still be running; `cachectl job list` shows it"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn half_an_event_is_an_error() {
    let half = scrubbed(0, 0).to_string();
    let body = format!("{}\n{}", started("scrub"), &half[..half.len() - 1]);
    let daemon = Daemon::start(&[("POST /v1/jobs", Answer::Says(200, body))]);
    let run = daemon.run("storage scrub");
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
}

#[test]
fn a_daemon_that_falls_silent_times_out() {
    let run = daemon(&[started("scrub")], Then::Hangs).run("storage scrub --timeout 1s");
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("did not answer within 2s"), "{}", run.stderr);
}

#[test]
fn text_that_is_not_an_event_is_reported_as_such() {
    let daemon = Daemon::start(&[("POST /v1/jobs", Answer::Says(200, "<html>\n".into()))]);
    let told = daemon.run("storage scrub").fails(1);
    assert!(told.contains("cannot decode the reply to POST /v1/jobs"), "{told}");

    let daemon = Daemon::start(&[("POST /v1/jobs", Answer::Floods)]);
    let told = daemon.run("storage scrub").fails(1);
    assert!(told.contains("larger than 1048576 bytes"), "{told}");
}

#[test]
fn a_daemon_without_jobs_is_distinguished_from_one_without_the_storage() {
    let old = Daemon::start(&[]);
    for line in ["fsck", "job list", "job stop 7"] {
        let told = old.run(line).fails(7);
        assert!(
            told.contains("the daemon is older than this cachectl and does not support "),
            "{line}: {told}"
        );
    }
    let refuse = refuses(404, "not-found");
    let daemon = Daemon::start(&[
        ("GET /v1/jobs", says(json!([]))),
        ("POST /v1/jobs", refuse.clone()),
        ("POST /v1/jobs/7/stop", refuse),
    ]);
    for line in ["storage drain hdd", "job stop 7"] {
        assert_eq!(daemon.run(line).fails(5), "cachectl: that went wrong\nDo this.\n", "{line}");
    }
}

#[test]
fn a_conflicting_job_is_a_refusal() {
    let daemon = Daemon::start(&[("POST /v1/jobs", refuses(409, "conflict"))]);
    daemon.run("fsck --rebuild").fails(6);
}

#[test]
fn jobs_are_listed_and_stopped() {
    let daemon = Daemon::start(&[
        ("GET /v1/jobs", says(json!([job("drain", "running")]))),
        ("POST /v1/jobs/7/stop", says(job("drain", "stopped"))),
    ]);
    assert!(daemon.run("job list").succeeds().contains("drain of main/hdd"));
    let json = daemon.run("job list --json").succeeds();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!([job("drain", "running")]));
    assert_eq!(daemon.run("job stop 7").succeeds(), "Stopped the drain of main/hdd (job 7): 0 B.\n");
}

/// Sends Ctrl-C to the process.
fn interrupt(pid: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -INT {pid}")]).status().unwrap();
    assert!(status.success());
}

#[test]
fn ctrl_c_detaches_and_says_how_to_come_back() {
    for json in [false, true] {
        let daemon = daemon(&[started("scrub")], Then::Hangs);
        let mut command = cachectl();
        command.args(["storage", "scrub", "--socket"]).arg(&daemon.socket);
        if json {
            command.arg("--json");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        if json {
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        } else {
            stderr.read_line(&mut line).unwrap();
        }
        assert!(line.to_lowercase().contains("started"), "{line}");
        interrupt(child.id());

        let mut told = String::new();
        stderr.read_to_string(&mut told).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(10));
        if json {
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!((&told["error"]["code"], &told["error"]["exit"]), (&json!("detached"), &json!(10)));
            continue;
        }
        assert_eq!(
            told,
            "cachectl: detached from the scrub of main/hdd, which continues in the daemon (job 7)\n\
             `cachectl job list` shows its progress, the same command joins it again, and \
             `cachectl job stop 7` stops it.\n"
        );
    }
}

#[test]
fn a_reader_that_stops_reading_detaches_from_the_job() {
    let events = [started("scrub"), progress(), scrubbed(0, 0)];
    let daemon = daemon(&events, Then::Ends);
    let mut command = cachectl();
    command.args(["storage", "scrub", "--json", "--socket"]).arg(&daemon.socket);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(10));
}

#[test]
fn a_terminal_gets_a_bar_that_is_removed_at_the_end() {
    let daemon = daemon(&[started("scrub"), progress(), note(), scrubbed(0, 0)], Then::Ends);
    let line = format!(
        "stty cols 80; '{}' storage scrub --socket '{}'",
        env!("CARGO_BIN_EXE_cachectl"),
        daemon.socket.display()
    );
    let on_terminal = |term: &str| {
        let mut command = clean(Command::new("script"));
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", term);
        finish(command.stdin(Stdio::null())).succeeds()
    };
    let shown = on_terminal("xterm");
    assert!(shown.contains("1.00 MiB of 3.00 MiB (33 %)") && shown.contains("reading main/hdd"), "{shown:?}");
    assert!(shown.contains('━'), "{shown:?}");
    assert!(shown.contains("warning: nar/1.nar.zst is damaged\\u{1b}[2J\r\n"), "{shown:?}");
    assert!(shown.ends_with("Read 1,234 files (3.00 MiB), all intact.\r\n"), "{shown:?}");

    // A terminal that cannot move its cursor gets lines.
    let shown = on_terminal("dumb");
    assert!(!shown.contains('━') && !shown.contains("\x1b["), "{shown:?}");
}

#[test]
fn a_file_to_write_is_sent_as_an_absolute_path() {
    let daemon = daemon(
        &[
            started("backup"),
            json!({"event": "done", "summary": {"kind": "backup", "file": "/b", "bytes": 7}}),
        ],
        Then::Ends,
    );
    let mut command = cachectl();
    command.args(["backup", "catalog.sqlite", "--socket"]).arg(&daemon.socket).current_dir(daemon.dir.path());
    let run = finish(&mut command);
    assert_eq!((run.code, run.stdout.as_str()), (0, "Wrote 7 B to /b.\n"), "{}", run.stderr);
    assert_eq!(run.stderr, "Started the backup to main/hdd (job 7).\n");
    let file = daemon.dir.path().join("catalog.sqlite");
    assert_eq!(daemon.last_body()["file"], file.to_str().unwrap());
}

/// Runs `cachectl` with `line` on a terminal and types an answer to its prompt. Returns what it shows, and its exit code.
fn answer_on_terminal(
    daemon: &Daemon,
    line: &str,
    prompt: &str,
    typed: &str,
    at_prompt: impl FnOnce(),
) -> (String, i32) {
    let socket = daemon.socket.display();
    let line = format!("'{}' {line} --socket '{socket}'", env!("CARGO_BIN_EXE_cachectl"));
    let mut command = clean(Command::new("script"));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", "dumb");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut shown = Vec::new();
    // Typed only once it is asked for, as by a person; the terminal would echo it too soon otherwise.
    while !String::from_utf8_lossy(&shown).contains(prompt) {
        let mut byte = [0];
        let read = stdout.read(&mut byte).unwrap();
        assert!(read > 0, "it does not ask: {}", String::from_utf8_lossy(&shown));
        shown.extend(byte);
    }
    at_prompt();
    stdin.write_all(typed.as_bytes()).unwrap();
    stdout.read_to_end(&mut shown).unwrap();
    (String::from_utf8(shown).unwrap(), child.wait().unwrap().code().unwrap())
}

/// A cache that is no longer in the config.
fn disabled(name: &str) -> Value {
    let mut cache = cache(name);
    cache["enabled"] = json!(false);
    cache
}

#[test]
fn a_cache_is_deleted_when_its_name_was_typed() {
    let done = json!({
        "event": "done",
        "summary": {"kind": "delete-cache", "paths": 1, "files": 1, "bytes_freed": 2, "left_files": 0},
    });
    for (typed, deletes) in [("old\n", true), ("new\n", false), ("\n", false)] {
        let daemon = Daemon::start(&[
            ("GET /v1/caches", says(json!([disabled("old"), cache("new")]))),
            ("POST /v1/jobs", streams(&[started("delete-cache"), done.clone()], Then::Ends)),
        ]);
        let prompt = "Type the name of the cache to confirm: ";
        let (shown, code) = answer_on_terminal(&daemon, "cache delete old", prompt, typed, || ());
        assert!(shown.contains("This deletes the cache old and its 1 path (2 B) permanently."), "{shown}");
        let requests = daemon.requests();
        if deletes {
            assert_eq!(code, 0, "{shown}");
            assert!(shown.contains("Removed 1 path and 1 file (2 B).\r\n"), "{shown}");
            assert_eq!(requests, ["GET /v1/caches", "POST /v1/jobs"]);
        } else {
            assert_eq!(code, 2, "{shown}");
            assert!(shown.contains("cache old was not deleted: the name was not typed"), "{shown}");
            assert_eq!(requests, ["GET /v1/caches"]);
        }
    }
}

#[test]
fn a_collection_on_a_terminal_begins_when_its_plan_was_approved() {
    // The same for the plan and for the collection.
    let counts = json!({
        "cache": "main", "paths_before": 9, "paths_removed": 0, "files_removed": 0, "bytes_freed": 0,
        "paths_to_remove": 4, "files_to_remove": 3, "bytes_to_remove": 2048, "postponed": 0, "pinned": 1, "kept": 5,
    });
    let done = json!({"event": "done", "summary": {"kind": "gc", "dry_run": true, "caches": [counts]}});
    for (typed, collects) in [("y\n", true), ("n\n", false), ("\n", false)] {
        let answer = streams(&[started("gc"), done.clone()], Then::Ends);
        let daemon = Daemon::start(&[("POST /v1/jobs", answer)]);
        let at_prompt = || assert_eq!(daemon.last_body()["dry_run"], true);
        let (shown, code) = answer_on_terminal(&daemon, "gc", "Remove 4 paths? [y/N] ", typed, at_prompt);
        assert!(shown.contains("TO REMOVE") && shown.contains("2.00 KiB"), "{shown}");
        if collects {
            assert_eq!(daemon.last_body()["dry_run"], false, "{shown}");
            assert_eq!(daemon.requests().len(), 2);
        } else {
            assert_eq!(code, 2, "{shown}");
            assert!(shown.contains("nothing was removed"), "{shown}");
            assert_eq!(daemon.requests().len(), 1);
        }
    }
}

#[test]
fn a_cache_is_not_deleted_without_a_confirmation() {
    let daemon = Daemon::start(&[("GET /v1/caches", says(json!([disabled("old"), cache("new")])))]);
    let told = daemon.run("cache delete odl").fails(5);
    assert_eq!(told, "cachectl: there is no cache called `odl`\nDid you mean `old`?\n");
    let told = daemon.run("cache delete old").fails(2);
    assert!(
        told.contains("cannot ask for confirmation without a terminal") && told.contains("--yes"),
        "{told}"
    );
    let told = daemon.run("cache delete new").fails(6);
    assert!(told.contains("`new` is still in the config"), "{told}");
    assert!(daemon.requests().iter().all(|request| request == "GET /v1/caches"));
}
