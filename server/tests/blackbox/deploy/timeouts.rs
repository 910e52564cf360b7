//! What never begins or never ends: test 106.

use serde_json::{Value, json};

use super::{Fleet, expect_deployment, finished, line, read_to_end, started};

#[test]
fn t106_a_deployment_that_never_ends_fails() {
    let fleet = Fleet::with(|config| config["server"]["deploy-timeout"] = json!("2s"));
    let mut agent = fleet.connect("a1");
    let id = fleet.deploy();
    expect_deployment(&mut agent);
    let mut view = fleet.view(&id);
    let mut work = fleet.work("a1");
    let mut producer = fleet.produce("a1", &id);
    producer.send_json(&line("working")).unwrap();
    work.send_json(&started(&id, None)).unwrap();
    let lines = read_to_end(&mut view);
    assert_eq!(lines[0], "working");
    assert!(
        lines[1].starts_with("Failed to activate the deployment") && lines[1].contains("2s"),
        "{lines:?}"
    );
    assert_eq!(fleet.status(&id), "Failed");
    // The agent is free for the next one as soon as it has put this one away.
    drop((work, producer));
    let next = fleet.deploy();
    assert_eq!(expect_deployment(&mut agent)["id"], next.as_str());
}

#[test]
fn t106_a_deployment_that_never_begins_is_cancelled() {
    let fleet = Fleet::with(|config| config["server"]["deploy-pending-timeout"] = json!("1s"));
    let id = fleet.deploy();
    let lines = read_to_end(&mut fleet.view(&id));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(fleet.status(&id), "Cancelled");
    // It is not delivered any more.
    let mut agent = fleet.connect("a1");
    super::expect_nothing(&mut agent);
}

/// The time an agent was offline does not count against the deployment.
#[test]
fn t106_waiting_is_not_working() {
    let fleet = Fleet::with(|config| config["server"]["deploy-timeout"] = json!("1s"));
    let (id, other) = (fleet.deploy(), fleet.activate("a2", &fleet.push("other")));
    let mut work = fleet.work("a2");
    work.send_json(&started(&other, None)).unwrap();
    fleet.wait_for_status(&other, "Failed");
    assert_eq!(fleet.status(&id), "Pending");
}

#[test]
fn a_reload_changes_what_is_too_long() {
    let fleet = Fleet::start();
    let (waits, begun) = (fleet.deploy(), fleet.activate("a2", &fleet.push("other")));
    let mut work = fleet.work("a2");
    work.send_json(&started(&begun, None)).unwrap();
    fleet.wait_for_status(&begun, "InProgress");
    fleet.site.edit_config(|config| {
        config["server"]["deploy-timeout"] = json!("1s");
        config["server"]["deploy-pending-timeout"] = json!("2s");
    });
    let told: Value = serde_json::from_str(&fleet.site.cachectl_ok(&["reload", "--json"])).unwrap();
    let changes =
        ["server.deploy-timeout: 1s instead of 2h", "server.deploy-pending-timeout: 2s instead of 7days"];
    assert_eq!(told["changes"], json!(changes));
    assert_eq!(told["needs_restart"], json!([]));
    fleet.wait_for_status(&begun, "Failed");
    fleet.wait_for_status(&waits, "Cancelled");
}

/// The server forgets logs that are old, and goes by its own clock.
#[test]
fn a_log_is_kept_though_the_clock_of_the_agent_is_wrong() {
    let fleet = Fleet::with(|config| config["server"]["deploy-timeout"] = json!("2s"));
    let id = fleet.deploy();
    let mut producer = fleet.produce("a1", &id);
    producer.send_json(&line("kept")).unwrap();
    producer.close();
    let mut work = fleet.work("a1");
    for mut message in [started(&id, None), finished(&id, true)] {
        message["command"]["time"] = json!("1999-12-31T23:59:59Z");
        work.send_json(&message).unwrap();
    }
    work.close();
    fleet.wait_for_status(&id, "Succeeded");
    assert_eq!(fleet.deployment(&id)["finishedOn"], "1999-12-31T23:59:59Z");
    // Each of these is ended by another round, and logs are looked at in each round.
    for _ in 0..2 {
        let stuck = fleet.activate("a2", &fleet.push("stuck"));
        let mut work = fleet.work("a2");
        work.send_json(&started(&stuck, None)).unwrap();
        fleet.wait_for_status(&stuck, "Failed");
    }
    assert_eq!(read_to_end(&mut fleet.view(&id)), ["kept"]);
}
