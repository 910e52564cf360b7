//! kill -9 at each state: after the restart everything goes on, and nothing is delivered again that has begun.

use super::{Fleet, carry_out, expect_deployment, expect_nothing, finished, line, read_to_end, started};

#[test]
fn a_pending_deployment_is_delivered_after_a_crash() {
    let mut fleet = Fleet::start();
    let id = fleet.deploy();
    fleet.site.crash_and_restart();
    assert_eq!(fleet.status(&id), "Pending");
    let mut agent = fleet.connect("a1");
    assert_eq!(expect_deployment(&mut agent)["id"], id.as_str());
    // Delivered, but not begun.
    fleet.site.crash_and_restart();
    let mut agent = fleet.connect("a1");
    assert_eq!(expect_deployment(&mut agent)["id"], id.as_str());
    carry_out(&fleet, "a1", &id, true);
    fleet.wait_for_status(&id, "Succeeded");
}

#[test]
fn what_has_begun_is_not_delivered_again_after_a_crash() {
    let mut fleet = Fleet::start();
    let mut agent = fleet.connect("a1");
    let id = fleet.deploy();
    expect_deployment(&mut agent);
    let mut work = fleet.work("a1");
    work.send_json(&started(&id, None)).unwrap();
    fleet.wait_for_status(&id, "InProgress");
    let waiting = fleet.deploy();
    fleet.site.crash_and_restart();
    assert_eq!(fleet.status(&id), "InProgress");
    let mut agent = fleet.connect("a1");
    expect_nothing(&mut agent);
    let mut work = fleet.work("a1");
    work.send_json(&finished(&id, true)).unwrap();
    work.close();
    // What comes first is the one that waited, and not the old one.
    assert_eq!(expect_deployment(&mut agent)["id"], waiting.as_str());
    assert_eq!(fleet.status(&id), "Succeeded");
}

/// The word that it had begun was lost in the crash. The agent opens both sockets again, and works on.
#[test]
fn what_an_agent_works_on_is_not_delivered_again_though_its_beginning_was_lost() {
    let mut fleet = Fleet::start();
    let mut agent = fleet.connect("a1");
    let id = fleet.deploy();
    expect_deployment(&mut agent);
    fleet.site.crash_and_restart();
    let mut agent = fleet.connect("a1");
    let mut work = fleet.work("a1");
    work.send_json(&finished(&id, true)).unwrap();
    work.close();
    fleet.wait_for_status(&id, "Succeeded");
    let next = fleet.deploy();
    assert_eq!(expect_deployment(&mut agent)["id"], next.as_str());
}

#[test]
fn what_has_ended_stays_as_it_is() {
    let mut fleet = Fleet::start();
    let (good, bad) = (fleet.deploy(), fleet.activate("a2", &fleet.push("bad")));
    carry_out(&fleet, "a1", &good, true);
    carry_out(&fleet, "a2", &bad, false);
    fleet.wait_for_status(&good, "Succeeded");
    fleet.wait_for_status(&bad, "Failed");
    let before = [fleet.deployment(&good), fleet.deployment(&bad)];
    fleet.site.crash_and_restart();
    assert_eq!([fleet.deployment(&good), fleet.deployment(&bad)], before);
    let mut agent = fleet.connect("a1");
    expect_nothing(&mut agent);
}

#[test]
fn cancelled_ones_stay_cancelled_and_logs_stay() {
    let mut fleet = Fleet::start();
    let cancelled = fleet.deploy();
    let id = fleet.deploy();
    let mut producer = fleet.produce("a1", &id);
    producer.send_json(&line("before")).unwrap();
    let mut view = fleet.view(&id);
    // Once it is seen, it is durable.
    assert_eq!(view.expect_json()["line"], "before");
    fleet.site.crash_and_restart();
    assert_eq!(fleet.status(&cancelled), "Cancelled");
    let mut producer = fleet.produce("a1", &id);
    producer.send_json(&line("after")).unwrap();
    producer.close();
    carry_out(&fleet, "a1", &id, true);
    assert_eq!(read_to_end(&mut fleet.view(&id)), ["before", "after"]);
}

/// All of a set or nothing of it, whenever the daemon dies.
#[test]
fn a_set_is_activated_whole_or_not_at_all() {
    for attempt in 0..5 {
        let mut fleet = Fleet::start();
        let path = fleet.push("system");
        let request = fleet
            .site
            .api()
            .post("/api/v2/deploy/activate")
            .bearer(fleet.activate_token("main"))
            .json(&serde_json::json!({"agents": {"a1": path, "a2": path}}));
        let activating = std::thread::spawn(move || request.try_send().ok());
        // Somewhere between nothing and all of it.
        for _ in 0..attempt * 3 {
            let _ = fleet.site.api().get("/").try_send();
        }
        fleet.site.crash_and_restart();
        let answered = activating.join().unwrap().is_some_and(|reply| reply.status == 200);
        let numbers = ["a1", "a2"].map(|agent| {
            let id = fleet.activate(agent, &path);
            fleet.deployment(&id)["index"].as_u64().unwrap()
        });
        assert_eq!(numbers[0], numbers[1], "of both or of none");
        assert!(!answered || numbers[0] == 2, "what was answered is durable");
    }
}
