//! What `cachix deploy activate` makes of the server's answers: test 110, with a scripted client and a scripted agent.

use std::thread;

use serde_json::{Value, json};

use super::{Fleet, expect_deployment, finished, line, log_target, read_to_end, started};
use crate::harness::SOON;
use crate::harness::websocket::Frame;

/// What happens on the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Course {
    Good,
    /// The activation itself fails.
    BadActivation,
    /// The activation succeeds, but the script is not content with it.
    BadScript,
}

impl Course {
    /// How the agent's last line goes on.
    fn last_line(self) -> &'static str {
        match self {
            Self::Good => "Successfully activated the deployment.",
            Self::BadActivation => "Failed to activate the deployment: switch-to-configuration: exit code 4.",
            Self::BadScript => "Failed to activate the deployment: the rollback script: exit code 1.",
        }
    }
}

/// The agent: waits for a deployment and does it.
fn work(fleet: &Fleet, course: Course, script: Option<&str>) {
    let mut agent = fleet.connect("a1");
    let deployment = expect_deployment(&mut agent);
    let (id, path) = (deployment["id"].as_str().unwrap(), deployment["storePath"].as_str().unwrap());
    assert_eq!(deployment["rollbackScript"], json!(script));
    let mut work = fleet.work("a1");
    let mut log = fleet.open("a1", &log_target(id));
    work.send_json(&started(id, None)).unwrap();
    log.send_json(&line(&format!("$ nix-store -r {path}"))).unwrap();
    work.send_json(&started(id, Some(1 << 30))).unwrap();
    if course != Course::BadActivation {
        // It must not be cut off by what it has just activated.
        work.send_ping(b"").unwrap();
        work.expect_pong(b"");
        script.into_iter().for_each(|script| log.send_json(&line(&format!("$ {script}"))).unwrap());
    }
    log.send_json(&line(course.last_line())).unwrap();
    work.send_json(&finished(id, course == Course::Good)).unwrap();
    log.close();
    work.close();
    agent.close();
}

/// The client: follows the log beside asking for the status, and ends once both have ended. Returns its exit code and what
/// it has printed of the log.
fn activate(fleet: &Fleet, specification: &Value, asynchronous: bool) -> (i32, Vec<String>) {
    let reply = fleet.send(specification).expect(200).json();
    let id = reply["agents"]["a1"]["id"].as_str().unwrap();
    if asynchronous {
        return (0, Vec::new());
    }
    thread::scope(|scope| {
        let log = scope.spawn(|| {
            let (mut view, mut lines) = (fleet.view(id), Vec::new());
            loop {
                let Some(Frame::Text(text)) = view.next(SOON) else { return lines };
                let text: Value = serde_json::from_str(&text).unwrap();
                let text = text["line"].as_str().unwrap().to_owned();
                let is_last = ["Successfully activated the deployment", "Failed to activate the deployment"]
                    .iter()
                    .any(|last| text.starts_with(last));
                lines.push(text);
                if is_last {
                    return lines;
                }
            }
        });
        let mut status = String::new();
        super::wait_until_done("the deployment ends", || {
            status = fleet.status(id);
            ["Cancelled", "Failed", "Succeeded"].contains(&status.as_str())
        });
        (i32::from(status != "Succeeded"), log.join().unwrap())
    })
}

#[test]
fn t110_a_client_learns_how_it_went() {
    let fleet = Fleet::start();
    let (path, script) = (fleet.push("system"), fleet.push("check"));
    let with_script = json!({"agents": {"a1": path}, "rollbackScript": {"x86_64-linux": script}});
    let without = json!({"agents": {"a1": path}});
    for (specification, script, course, code) in [
        (&without, None, Course::Good, 0),
        (&with_script, Some(script.as_str()), Course::Good, 0),
        (&without, None, Course::BadActivation, 1),
        (&with_script, Some(script.as_str()), Course::BadScript, 1),
    ] {
        thread::scope(|scope| {
            let agent = scope.spawn(|| work(&fleet, course, script));
            let (exit, lines) = activate(&fleet, specification, false);
            assert_eq!(exit, code, "{course:?}: {lines:?}");
            assert_eq!(lines.last().map(String::as_str), Some(course.last_line()));
            agent.join().unwrap();
        });
    }
}

#[test]
fn t110_a_client_need_not_wait() {
    let fleet = Fleet::start();
    let specification = json!({"agents": {"a1": fleet.push("system")}});
    assert_eq!(activate(&fleet, &specification, true).0, 0);
    work(&fleet, Course::Good, None);
    let shown = fleet.site.cachectl_ok(&["deploy", "show", "a1", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let id = shown["id"].as_str().unwrap();
    fleet.wait_for_status(id, "Succeeded");
    assert_eq!(read_to_end(&mut fleet.view(id)).len(), 2);
}
