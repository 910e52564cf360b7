//! Logs, written and followed: tests 101 to 105.

use serde_json::Value;

use super::{
    Fleet, agent_headers, bearer, expect_nothing, finished, line, log_target, open, read_to_end, started,
    wait_until_done,
};
use crate::harness::websocket::{Frame, WebSocket};
use crate::harness::{Response, SOON};

const GOOD_END: &str = "Successfully activated the deployment.";

fn refusal(result: Result<WebSocket, Response>) -> u16 {
    result.err().expect("no socket").status
}

fn finish(fleet: &Fleet, id: &str, succeeded: bool) {
    let mut work = fleet.work("a1");
    work.send_json(&started(id, None)).unwrap();
    work.send_json(&finished(id, succeeded)).unwrap();
    work.close();
    fleet.wait_for_status(id, if succeeded { "Succeeded" } else { "Failed" });
}

/// Reads so many lines.
fn read(view: &mut WebSocket, count: usize) -> Vec<String> {
    let text = |line: Value| line["line"].as_str().unwrap().to_owned();
    (0..count).map(|_| text(view.expect_json())).collect()
}

#[test]
fn t101_a_thousand_lines_keep_their_order_over_sockets_and_crashes() {
    let mut fleet = Fleet::start();
    let id = fleet.deploy();
    let all: Vec<_> = (0..1000).map(|number| format!("line {number}")).collect();
    for part in all.chunks(500) {
        let mut producer = fleet.produce("a1", &id);
        part.iter().for_each(|text| producer.send_json(&line(text)).unwrap());
        producer.close();
        fleet.site.crash_and_restart();
    }
    finish(&fleet, &id, true);
    assert_eq!(read_to_end(&mut fleet.view(&id)), all);
}

#[test]
fn t102_goodbye_is_answered_in_kind_once_all_is_recorded() {
    let mut fleet = Fleet::start();
    let id = fleet.deploy();
    let mut producer = fleet.produce("a1", &id);
    (0..300).for_each(|number| producer.send_json(&line(&number.to_string())).unwrap());
    producer.close();
    fleet.site.crash_and_restart();
    finish(&fleet, &id, false);
    assert_eq!(read_to_end(&mut fleet.view(&id)).len(), 300);
}

#[test]
fn t103_a_viewer_sees_each_line_once_whenever_it_comes() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut early = fleet.view(&id);
    expect_nothing(&mut early);
    let mut producer = fleet.produce("a1", &id);
    producer.send_json(&line("one")).unwrap();
    assert_eq!(read(&mut early, 1), ["one"]);
    let mut late = fleet.view(&id);
    assert_eq!(read(&mut late, 1), ["one"]);
    for text in ["", "two \u{1f600} \"quoted\"", GOOD_END] {
        producer.send_json(&line(text)).unwrap();
    }
    for view in [&mut early, &mut late] {
        assert_eq!(read(view, 3), ["", "two \u{1f600} \"quoted\"", GOOD_END]);
    }
    // Lines after the last one are for those who still listen.
    producer.send_json(&line("afterwards")).unwrap();
    producer.close();
    finish(&fleet, &id, true);
    for mut view in [early, late] {
        assert_eq!(read_to_end(&mut view), ["afterwards"]);
    }
    assert_eq!(read_to_end(&mut fleet.view(&id)).len(), 5);
}

#[test]
fn t104_a_viewer_ends_though_the_agent_says_no_last_line() {
    let fleet = Fleet::start();
    for succeeded in [true, false] {
        let id = fleet.deploy();
        let mut view = fleet.view(&id);
        let mut producer = fleet.produce("a1", &id);
        producer.send_json(&line("working")).unwrap();
        assert_eq!(read(&mut view, 1), ["working"]);
        drop(producer);
        finish(&fleet, &id, succeeded);
        assert!(read_to_end(&mut view).is_empty());
    }
}

#[test]
fn t104_a_viewer_ends_though_the_agent_keeps_the_log_open() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut view = fleet.view(&id);
    let _producer = fleet.produce("a1", &id);
    finish(&fleet, &id, true);
    assert!(read_to_end(&mut view).is_empty());
}

/// Each line that is seen is followed by another one.
#[test]
fn t104_a_viewer_ends_though_the_agent_goes_on_writing() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut view = fleet.view(&id);
    let mut producer = fleet.produce("a1", &id);
    finish(&fleet, &id, true);
    let mut seen = 0;
    let code = loop {
        producer.send_json(&line("and on")).unwrap();
        match view.next(SOON) {
            Some(Frame::Text(_)) => seen += 1,
            Some(Frame::Close(code)) => break code,
            other => panic!("after {seen} lines: {other:?}"),
        }
    };
    assert_eq!(code, Some(1000));
    assert!(seen > 0);
}

#[test]
fn t104_the_last_line_is_waited_for() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut view = fleet.view(&id);
    let mut producer = fleet.produce("a1", &id);
    finish(&fleet, &id, true);
    producer.send_json(&line(GOOD_END)).unwrap();
    producer.close();
    assert_eq!(read_to_end(&mut view), [GOOD_END]);
}

#[test]
fn t104_a_viewer_of_what_was_cancelled_learns_why_and_ends() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut view = fleet.view(&id);
    fleet.deploy();
    let lines = read_to_end(&mut view);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("Failed to activate the deployment") && lines[0].contains("#2"),
        "{lines:?}"
    );
}

#[test]
fn t105_logs_are_for_the_agent_and_the_workspace() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let api = fleet.site.api();
    let (produce, view) = (log_target(&id), format!("{}?view=true", log_target(&id)));
    let foreign = agent_headers("a2", fleet.agent_token("a2"));
    assert!(matches!(refusal(open(&api, &produce, &foreign)), 401 | 403));
    let activate = agent_headers("a1", fleet.activate_token("main"));
    assert!(matches!(refusal(open(&api, &produce, &activate)), 401 | 403));
    for token in ["", "nonsense", fleet.activate_token("other"), fleet.agent_token("a1")] {
        let headers = [("Authorization", bearer(token))];
        assert_eq!(refusal(open(&api, &view, &headers)), 401);
    }
    let own = agent_headers("a1", fleet.agent_token("a1"));
    for unknown in [log_target(&uuid::Uuid::new_v4().to_string()), log_target("x")] {
        assert_eq!(refusal(open(&api, &unknown, &own)), 404);
    }
}

#[test]
fn what_is_no_line_is_passed_over() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut producer = fleet.produce("a1", &id);
    for garbage in ["", "{", "null", r#"{"line":5}"#, r#"{"time":"now"}"#] {
        producer.send_text(garbage).unwrap();
    }
    producer.send_text(r#"{"line":"without a time"}"#).unwrap();
    producer.send_text(r#"{"line":"with a \u0000 and a bad time","time":"yesterday"}"#).unwrap();
    producer.close();
    finish(&fleet, &id, true);
    let lines = read_to_end(&mut fleet.view(&id));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], "without a time");
}

#[test]
fn a_log_without_end_is_cut_and_keeps_its_last_line() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut producer = fleet.produce("a1", &id);
    let long = "x".repeat(15_000);
    for _ in 0..700 {
        producer.send_json(&line(&long)).unwrap();
    }
    producer.send_json(&line(&"y".repeat(100_000))).unwrap();
    producer.send_json(&line(GOOD_END)).unwrap();
    producer.close();
    finish(&fleet, &id, true);
    let lines = read_to_end(&mut fleet.view(&id));
    assert!(lines.iter().map(String::len).sum::<usize>() < 9 << 20);
    let [notice, last] = &lines[lines.len() - 2..] else { panic!("two lines") };
    assert!(notice.contains("truncated"), "{notice}");
    assert_eq!(last, GOOD_END);
}

#[test]
fn a_long_line_is_cut() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut producer = fleet.produce("a1", &id);
    producer.send_json(&line(&"\u{e4}".repeat(100_000))).unwrap();
    producer.close();
    finish(&fleet, &id, true);
    let lines = read_to_end(&mut fleet.view(&id));
    assert!(lines[0].len() < 20_000 && lines[0].ends_with("[truncated]"), "{}", lines[0].len());
}

/// The reader takes nothing while the agent writes more than all buffers between hold.
#[test]
fn a_viewer_that_does_not_read_holds_nobody_up() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut lazy = fleet.view(&id);
    let mut diligent = fleet.view(&id);
    let mut producer = fleet.produce("a1", &id);
    let long = "x".repeat(10_000);
    for _ in 0..600 {
        producer.send_json(&line(&long)).unwrap();
    }
    producer.close();
    assert_eq!(read(&mut diligent, 600).len(), 600);
    finish(&fleet, &id, true);
    assert!(read_to_end(&mut diligent).is_empty());
    assert_eq!(read_to_end(&mut lazy).len(), 600);
}

#[test]
fn many_viewers_see_the_same() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut views: Vec<_> = (0..30).map(|_| fleet.view(&id)).collect();
    let mut producer = fleet.produce("a1", &id);
    for number in 0..50 {
        producer.send_json(&line(&number.to_string())).unwrap();
    }
    producer.close();
    finish(&fleet, &id, true);
    for view in &mut views {
        assert_eq!(read_to_end(view).len(), 50);
    }
}

#[test]
fn a_viewer_that_goes_away_is_forgotten() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    drop(fleet.view(&id));
    let mut view = fleet.view(&id);
    let mut producer = fleet.produce("a1", &id);
    producer.send_json(&line("still here")).unwrap();
    assert_eq!(read(&mut view, 1), ["still here"]);
    view.send_close(1000, "").unwrap();
    assert_eq!(view.expect_close(), Some(1000));
    wait_until_done("the socket ends", || matches!(view.receive(SOON), Some(Frame::End)));
}
