//! kill -9 at each state: after the restart everything goes on, and nothing is delivered again that has begun.

use super::{Fleet, carry_out, expect_deployment, expect_nothing, finished, line, read_to_end, started};
use crate::harness::websocket::WebSocket;

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

/// Moments of a deployment at which the daemon may die.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Moment {
    Activated,
    Delivered,
    AtWork,
    /// The message was sent, and perhaps nobody heard it.
    Starting,
    Started,
    Logging,
    /// The same again.
    Finishing,
    Finished,
}

use Moment::{Activated, AtWork, Delivered, Finished, Finishing, Logging, Started, Starting};

/// Goes through the deployment up to a moment. Returns the sockets, which are open at that moment.
fn work_until(fleet: &Fleet, agent: &mut WebSocket, id: &str, moment: Moment) -> Vec<WebSocket> {
    if moment == Activated {
        return Vec::new();
    }
    assert_eq!(expect_deployment(agent)["id"], id, "{moment:?}");
    if moment == Delivered {
        return Vec::new();
    }
    let mut work = fleet.work("a1");
    if moment > AtWork {
        work.send_json(&started(id, None)).unwrap();
    }
    if moment > Starting {
        fleet.wait_for_status(id, "InProgress");
    }
    if moment < Logging {
        return vec![work];
    }
    let mut log = fleet.produce("a1", id);
    log.send_json(&line("working")).unwrap();
    if moment > Logging {
        work.send_json(&finished(id, true)).unwrap();
    }
    if moment > Finishing {
        fleet.wait_for_status(id, "Succeeded");
    }
    vec![work, log]
}

#[test]
fn at_whatever_moment_the_daemon_dies_nothing_that_has_begun_is_delivered_again() {
    let mut fleet = Fleet::start();
    for moment in [Activated, Delivered, AtWork, Starting, Started, Logging, Finishing, Finished] {
        let mut agent = fleet.connect("a1");
        let id = if moment == Activated {
            drop(agent);
            let id = fleet.deploy();
            // Nobody is there to be told.
            agent = fleet.connect("a2");
            id
        } else {
            fleet.deploy()
        };
        let sockets = work_until(&fleet, &mut agent, &id, moment);
        fleet.site.crash_and_restart();
        drop((sockets, agent));

        if moment < AtWork {
            let mut agent = fleet.connect("a1");
            assert_eq!(expect_deployment(&mut agent)["id"], id.as_str(), "{moment:?}");
            carry_out(&fleet, "a1", &id, true);
        } else {
            // The work goes on; what was said before the crash is not said again.
            let mut work = fleet.work("a1");
            if moment < Finishing {
                work.send_json(&finished(&id, true)).unwrap();
            }
            work.close();
        }
        if moment == Finishing && fleet.status(&id) != "Succeeded" {
            // Lost, which the agent cannot know. In the end the server gives up; here the operator does.
            assert_eq!(fleet.status(&id), "InProgress");
            fleet.site.cachectl_ok(&["deploy", "cancel", "a1"]);
        } else {
            fleet.wait_for_status(&id, "Succeeded");
        }
        // All that comes now is the next one.
        let mut agent = fleet.connect("a1");
        let next = fleet.deploy();
        assert_eq!(expect_deployment(&mut agent)["id"], next.as_str(), "{moment:?}");
        expect_nothing(&mut agent);
        carry_out(&fleet, "a1", &next, true);
        fleet.wait_for_status(&next, "Succeeded");
    }
}
