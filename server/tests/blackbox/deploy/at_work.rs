//! `/ws-deployment`: tests 94 to 100.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Fleet, expect_deployment, expect_nothing, finished, started};

#[test]
fn t94_it_begins_as_the_socket_of_the_agent_does() {
    let fleet = Fleet::start();
    let registered = |target| super::expect_registered(&mut fleet.open("a1", target));
    assert_eq!(registered("/ws-deployment"), registered("/ws"));
}

#[test]
fn t95_the_first_start_tells_the_time_and_the_second_the_size() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut work = fleet.work("a1");
    work.send_json(&started(&id, None)).unwrap();
    fleet.wait_for_status(&id, "InProgress");
    let deployment = fleet.deployment(&id);
    assert_eq!(deployment["closureSize"], Value::Null);
    let begun = deployment["startedOn"].as_str().unwrap().to_owned();
    let mut second = started(&id, Some(123_456_789_012));
    second["command"]["time"] = json!("2026-01-01T12:30:00Z");
    work.send_json(&second).unwrap();
    super::wait_until_done("the size is known", || fleet.deployment(&id)["closureSize"] != Value::Null);
    let deployment = fleet.deployment(&id);
    assert_eq!(deployment["closureSize"], 123_456_789_012_u64);
    assert_eq!(deployment["startedOn"], begun.as_str());
    assert_eq!(deployment["status"], "InProgress");
}

#[test]
fn t96_the_end_counts_once() {
    let fleet = Fleet::start();
    for (succeeded, status) in [(true, "Succeeded"), (false, "Failed")] {
        let id = fleet.deploy();
        let mut work = fleet.work("a1");
        work.send_json(&started(&id, None)).unwrap();
        work.send_json(&finished(&id, succeeded)).unwrap();
        fleet.wait_for_status(&id, status);
        let deployment = fleet.deployment(&id);
        assert!(deployment["finishedOn"].as_str().unwrap().starts_with("2026-01-01T12:00:05"));
        // Repeated, contradicted, begun anew.
        work.send_json(&finished(&id, succeeded)).unwrap();
        work.send_json(&finished(&id, !succeeded)).unwrap();
        work.send_json(&started(&id, Some(5))).unwrap();
        work.close();
        // What was said on the socket before is heard before what is said after it.
        let next = fleet.deploy();
        super::carry_out(&fleet, "a1", &next, true);
        fleet.wait_for_status(&next, "Succeeded");
        assert_eq!(fleet.deployment(&id), deployment);
    }
}

#[test]
fn t96_what_was_cancelled_stays_cancelled() {
    let fleet = Fleet::start();
    let (id, next) = (fleet.deploy(), fleet.deploy());
    assert_eq!(fleet.status(&id), "Cancelled");
    super::carry_out(&fleet, "a1", &id, true);
    super::carry_out(&fleet, "a1", &next, true);
    fleet.wait_for_status(&next, "Succeeded");
    assert_eq!(fleet.status(&id), "Cancelled");
}

#[test]
fn t97_what_an_agent_may_not_say_or_nobody_understands_is_passed_over() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut stranger = fleet.work("a2");
    stranger.send_json(&started(&id, None)).unwrap();
    stranger.send_json(&finished(&id, true)).unwrap();
    stranger.send_json(&started(&uuid::Uuid::new_v4().to_string(), None)).unwrap();
    for garbage in ["", "{", "null", "[]", r#"{"command":{"tag":"Deployment"}}"#, "\u{1f600}"] {
        stranger.send_text(garbage).unwrap();
    }
    expect_nothing(&mut stranger);
    // Still open, and good for its own deployments, which are heard after all of that.
    let own = fleet.activate("a2", &fleet.push("own"));
    stranger.send_json(&started(&own, None)).unwrap();
    fleet.wait_for_status(&own, "InProgress");
    assert_eq!(fleet.status(&id), "Pending");
}

#[test]
fn t98_each_of_many_pings_is_answered() {
    let fleet = Fleet::start();
    let mut work = fleet.work("a1");
    for number in 0..10_u8 {
        let before = Instant::now();
        work.send_ping(&[number]).unwrap();
        work.expect_pong(&[number]);
        assert!(before.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn t99_a_deployment_outlives_its_sockets() {
    let fleet = Fleet::start();
    let mut agent = fleet.connect("a1");
    let id = fleet.deploy();
    expect_deployment(&mut agent);
    let mut work = fleet.work("a1");
    work.send_json(&started(&id, None)).unwrap();
    fleet.wait_for_status(&id, "InProgress");
    // The network goes away, with all sockets.
    drop((work, agent));
    let mut agent = fleet.connect("a1");
    assert_eq!(fleet.status(&id), "InProgress");
    let mut work = fleet.work("a1");
    work.send_json(&finished(&id, true)).unwrap();
    work.close();
    fleet.wait_for_status(&id, "Succeeded");
    expect_nothing(&mut agent);
}

#[test]
fn t100_times_are_those_of_the_agent() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut work = fleet.work("a1");
    let mut message = started(&id, None);
    message["command"]["time"] = json!("2026-02-03T04:05:06.123456789012Z");
    work.send_json(&message).unwrap();
    fleet.wait_for_status(&id, "InProgress");
    assert!(fleet.deployment(&id)["startedOn"].as_str().unwrap().starts_with("2026-02-03T04:05:06"));
}

/// Both sockets were lost, and come back in the wrong order: the agent works, and would do again what it is sent.
#[test]
fn nothing_is_sent_to_an_agent_that_is_at_work() {
    let fleet = Fleet::start();
    let mut agent = fleet.connect("a1");
    let id = fleet.deploy();
    expect_deployment(&mut agent);
    let mut work = fleet.work("a1");
    drop(agent);
    let mut agent = fleet.connect("a1");
    expect_nothing(&mut agent);
    work.send_json(&finished(&id, true)).unwrap();
    work.close();
    fleet.wait_for_status(&id, "Succeeded");
    let next = fleet.deploy();
    assert_eq!(expect_deployment(&mut agent)["id"], next.as_str());
}
