//! What never begins or never ends: test 106.

use serde_json::json;

use super::{Fleet, expect_deployment, line, read_to_end, started};

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
