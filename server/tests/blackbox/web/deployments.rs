//! Deployments and their logs, without a browser.

use super::{asking, check, page};
use crate::deploy::{Fleet, finished, line, started};
use crate::harness::SOON;

#[test]
fn the_state_is_for_all_who_have_the_url_and_the_log_is_not() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let target = format!("/deploy/{id}");
    let plain = fleet.site.api().get(&target).send().expect(200);
    assert!(plain.text().starts_with("Deployment #1 of the agent a1: Pending"), "{}", plain.text());
    let mut producer = fleet.produce("a1", &id);
    producer.send_json(&line("a secret of the machine")).unwrap();
    producer.close();
    let activate = fleet.activate_token("main").to_owned();
    let admin = fleet.site.create_token(&["--all", "--permission", "admin"]);
    let others =
        ["".to_owned(), fleet.activate_token("other").to_owned(), fleet.agent_token("b1").to_owned()];
    for token in &others {
        let reply = page(&fleet.site.api(), &target, token).expect(200);
        assert!(reply.text().contains("pending") && !reply.text().contains("secret"), "{}", reply.text());
        for rest in ["/log", "/events"] {
            let request = fleet.site.api().get(&format!("{target}{rest}"));
            let request = if token.is_empty() { request } else { request.bearer(token) };
            request.send().expect(401);
        }
    }
    for token in [&activate, &admin, &fleet.agent_token("a2").to_owned()] {
        let reply = page(&fleet.site.api(), &target, token).expect(200);
        assert!(reply.text().contains("a secret of the machine"), "{}", reply.text());
        let log = fleet.site.api().get(&format!("{target}/log")).bearer(token).send().expect(200);
        assert_eq!(log.text(), "2026-01-01T12:00:01.5Z a secret of the machine\n");
    }
    // Workspaces are for those who have a token for them.
    for (token, seen) in [(&activate, "main"), (&others[1], "other")] {
        let text = page(&fleet.site.api(), "/deployments", token).expect(200).text().to_owned();
        assert!(text.contains(&format!("deployments/{seen}\"")), "{text}");
        assert_eq!(text.matches("deployments/").count(), 1, "{text}");
    }
    page(&fleet.site.api(), "/deployments/main", &others[1]).expect(404);
    let agents = page(&fleet.site.api(), "/deployments/main", &activate).expect(200);
    assert!(agents.text().contains("offline") && agents.text().contains("pending"), "{}", agents.text());
    page(&fleet.site.api(), "/deployments/main/a1", &activate).expect(200);
}

#[test]
fn events_carry_every_line_once_and_end_with_the_deployment() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut producer = fleet.produce("a1", &id);
    producer.send_json(&line("one <b> \u{1b}[1m \u{202e}")).unwrap();
    producer.send_json(&line("two")).unwrap();
    let token = fleet.activate_token("main").to_owned();
    let target = format!("/deploy/{id}/events?after=1");
    let events = fleet.site.api().get(&target).bearer(&token).open().unwrap();
    producer.send_json(&line("three")).unwrap();
    producer.close();
    let mut work = fleet.work("a1");
    work.send_json(&started(&id, None)).unwrap();
    work.send_json(&finished(&id, true)).unwrap();
    work.close();
    let rest = events.into_response().unwrap();
    let rest = rest.text();
    // The first event has what was there when the request was answered: one line or two.
    assert!(rest.contains("event: lines\ndata: [{\"time\":\"12:00:01\",\"line\":\"two\"}"), "{rest}");
    let count = |line: &str| rest.matches(&format!("\"line\":\"{line}\"")).count();
    assert_eq!((count("two"), count("three")), (1, 1), "{rest}");
    assert!(!rest.contains("one") && rest.ends_with("event: end\ndata: {}\n\n"), "{rest}");
    // A browser that lost the connection says what it has.
    let again = fleet.site.api().get(&target).header("Last-Event-ID", "3").bearer(&token).send().expect(200);
    assert_eq!(again.text(), "event: end\ndata: {}\n\n");
    assert_eq!(again.header("Content-Type"), Some("text/event-stream"));
    let all = fleet.site.api().get(&format!("/deploy/{id}/events")).bearer(&token).send().expect(200);
    assert!(all.text().contains("one <b> ^[[1m \u{27e8}U+202E\u{27e9}"), "{}", all.text());
}

#[test]
fn events_end_when_the_token_is_revoked() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let token =
        fleet.site.create_token(&["--workspace", "main", "--permission", "activate", "--subject", "watcher"]);
    let events = fleet.site.api().get(&format!("/deploy/{id}/events")).bearer(&token).open().unwrap();
    let tokens = fleet.site.cachectl_ok(&["token", "list", "--json"]);
    let tokens: serde_json::Value = serde_json::from_str(&tokens).unwrap();
    let watcher = tokens.as_array().unwrap().iter().find(|token| token["subject"] == "watcher").unwrap();
    fleet.site.cachectl_ok(&["token", "revoke", watcher["id"].as_str().unwrap()]);
    assert_eq!(events.into_response().unwrap().text(), "");
}

#[test]
fn a_page_of_a_long_log_has_its_end() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut producer = fleet.produce("a1", &id);
    for number in 0..1000 {
        producer.send_json(&line(&format!("{number} {}", "<".repeat(300)))).unwrap();
    }
    producer.close();
    let token = fleet.activate_token("main").to_owned();
    crate::harness::wait_for(SOON, "all lines are there", || {
        let reply = asking(&fleet.site.api(), &format!("/deploy/{id}")).bearer(&token).send();
        check("the page", &reply);
        reply.text().contains(" 999 &lt;").then_some(())
    });
    let reply = page(&fleet.site.api(), &format!("/deploy/{id}"), &token);
    assert!(reply.text().contains("earlier lines are not shown"), "{}", reply.text());
    let log = fleet.site.api().get(&format!("/deploy/{id}/log")).bearer(&token).send().expect(200);
    assert_eq!(log.text().lines().count(), 1000);
}
