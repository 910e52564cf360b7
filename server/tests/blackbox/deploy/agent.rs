//! `/ws`: tests 85 to 93.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::json;

use super::{
    Fleet, agent_headers, expect_deployment, expect_nothing, expect_registered, finished, open, started,
    wait_until_done,
};
use crate::harness::websocket::Frame;
use crate::harness::{Endpoint, SOON, wait_for};

#[test]
fn t85_an_agent_is_told_who_it_is_and_where_it_fetches_from() {
    let mut fleet = Fleet::start();
    let mut socket = fleet.open("a1", "/ws");
    let first = socket.expect_json();
    assert_eq!(first["method"], "AgentRegistered");
    assert!(first["id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    let contents = &first["command"]["contents"];
    let id = contents["id"].as_str().unwrap().to_owned();
    assert_eq!(first["agent"], id.as_str());
    let key = fleet.site.public_key("pub");
    let bare = key.split_once(':').unwrap().1;
    assert_eq!(STANDARD.decode(bare).unwrap().len(), 32);
    assert_eq!(contents["cache"], json!({"cacheName": "pub", "publicKey": bare, "isPublic": true}));

    let private = expect_registered(&mut fleet.open("b1", "/ws"));
    assert_eq!(
        (&private["cache"]["cacheName"], &private["cache"]["isPublic"]),
        (&json!("priv"), &json!(false))
    );
    assert_ne!(private["id"], id.as_str());

    fleet.site.crash_and_restart();
    assert_eq!(expect_registered(&mut fleet.open("a1", "/ws"))["id"], id.as_str(), "the id stays");
}

#[test]
fn t85_the_sockets_are_on_the_deploy_port_as_well() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let address = (std::net::Ipv4Addr::LOCALHOST, fleet.site.port("deploy")).into();
    let deploy = Endpoint { address, host: fleet.site.api().host };
    let headers = agent_headers("a1", fleet.agent_token("a1"));
    let Ok(mut socket) = open(&deploy, "/ws", &headers) else { panic!("no websocket") };
    expect_registered(&mut socket);
    assert_eq!(expect_deployment(&mut socket)["id"], id.as_str());
    for target in ["/ws-deployment", &super::log_target(&id)] {
        assert!(open(&deploy, target, &headers).is_ok(), "{target}");
    }
    // An agent fetches from the host and port that it was given.
    let cache = deploy.named(&format!("pub.{}", deploy.host));
    cache.get("/nix-cache-info").send().expect(200);
}

#[test]
fn t86_a_bad_token_is_refused_before_there_is_a_socket() {
    let fleet = Fleet::start();
    let api = fleet.site.api();
    let write = fleet.site.create_token(&["--all", "--permission", "admin"]);
    for token in ["", "nonsense", &write, fleet.activate_token("main"), fleet.agent_token("a2")] {
        for target in ["/ws", "/ws-deployment"] {
            let refused = open(&api, target, &agent_headers("a1", token));
            assert_eq!(refused.err().expect("no socket").status, 401);
        }
    }
    let name = [("name", "a1")];
    assert_eq!(open(&api, "/ws", &name).err().expect("no socket").status, 401);
    // Who has the token but speaks HTTP learns what is expected.
    api.get("/ws").bearer(fleet.agent_token("a1")).send().expect(426);
    api.get("/ws").send().expect(401);
}

#[test]
fn t87_pings_are_answered() {
    let fleet = Fleet::start();
    let mut agent = fleet.connect("a1");
    for payload in [&b""[..], b"30 seconds"] {
        agent.send_ping(payload).unwrap();
        agent.expect_pong(payload);
    }
}

#[test]
fn t88_a_connected_agent_is_told_once() {
    let fleet = Fleet::start();
    let path = fleet.push("system");
    let mut agent = fleet.connect("a1");
    let mut bystander = fleet.connect("a2");
    let id = fleet.activate("a1", &path);
    let deployment = expect_deployment(&mut agent);
    assert_eq!(deployment, json!({"id": id, "index": 1, "storePath": path, "rollbackScript": null}));
    expect_nothing(&mut agent);
    expect_nothing(&mut bystander);
}

#[test]
fn t89_an_agent_that_was_offline_is_told_when_it_connects() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    // `connect` takes the first message, which has to be that it is registered.
    let mut agent = fleet.connect("a1");
    assert_eq!(expect_deployment(&mut agent)["id"], id.as_str());
}

#[test]
fn t90_what_has_not_begun_is_sent_again_and_what_has_is_not() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    for _ in 0..3 {
        let mut agent = fleet.connect("a1");
        assert_eq!(expect_deployment(&mut agent)["id"], id.as_str());
    }
    let mut work = fleet.work("a1");
    work.send_json(&started(&id, None)).unwrap();
    fleet.wait_for_status(&id, "InProgress");
    let mut agent = fleet.connect("a1");
    // Another one that comes later would come after it.
    let later = fleet.deploy();
    work.send_json(&finished(&id, true)).unwrap();
    work.close();
    assert_eq!(expect_deployment(&mut agent)["id"], later.as_str());
}

#[test]
fn t91_of_two_connections_the_newer_one_gets_it() {
    let fleet = Fleet::start();
    let mut older = fleet.connect("a1");
    let mut newer = fleet.connect("a1");
    let id = fleet.deploy();
    assert_eq!(expect_deployment(&mut newer)["id"], id.as_str());
    expect_nothing(&mut older);
    older.close();
    let next = fleet.deploy();
    assert_eq!(expect_deployment(&mut newer)["id"], next.as_str());
}

/// A bootstrap agent stays while the real one is away again.
#[test]
fn t91_when_the_newer_one_is_gone_the_older_one_gets_it() {
    let fleet = Fleet::start();
    let mut older = fleet.connect("a1");
    let mut newer = fleet.connect("a1");
    let id = fleet.deploy();
    assert_eq!(expect_deployment(&mut newer)["id"], id.as_str());
    drop(newer);
    assert_eq!(expect_deployment(&mut older)["id"], id.as_str());
}

#[test]
fn t92_a_daemon_that_stops_has_agents_come_back() {
    let mut fleet = Fleet::start();
    let id = fleet.deploy();
    let mut sockets = [fleet.connect("a1"), fleet.work("a1"), fleet.connect("a2"), fleet.view(&id)];
    fleet.site.daemon().signal(Signal::TERM);
    for socket in &mut sockets {
        assert!(matches!(socket.expect_close(), Some(1001 | 1012)));
    }
    drop(sockets);
    assert!(fleet.site.daemon().wait().success());
}

#[test]
fn t93_goodbye_is_answered_in_kind() {
    let fleet = Fleet::start();
    fleet.connect("a1").close();
    fleet.work("a1").close();
}

#[test]
fn a_second_activation_waits_until_the_first_has_ended() {
    let fleet = Fleet::start();
    let mut agent = fleet.connect("a1");
    let first = fleet.deploy();
    expect_deployment(&mut agent);
    let mut work = fleet.work("a1");
    work.send_json(&started(&first, None)).unwrap();
    fleet.wait_for_status(&first, "InProgress");
    let (second, third) = (fleet.deploy(), fleet.deploy());
    assert_eq!(fleet.status(&second), "Cancelled", "the third one takes its place");
    assert_eq!(fleet.status(&first), "InProgress");
    expect_nothing(&mut agent);
    work.send_json(&finished(&first, false)).unwrap();
    work.close();
    assert_eq!(expect_deployment(&mut agent)["id"], third.as_str());
    assert_eq!(fleet.status(&first), "Failed");
}

#[test]
fn an_agent_that_the_config_no_longer_names_is_refused() {
    let mut fleet = Fleet::start();
    fleet.connect("a1").close();
    fleet.site.reconfigure(|config| {
        let agents = config["agents"].as_array_mut().unwrap();
        agents.retain(|agent| agent["name"] != "a1");
    });
    let headers = agent_headers("a1", fleet.agent_token("a1"));
    let refused = open(&fleet.site.api(), "/ws", &headers).err().expect("no socket");
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("`a1`"), "{}", refused.text());
    fleet.connect("a2").close();
}

#[test]
fn connections_that_pile_up_are_ended_oldest_first() {
    let fleet = Fleet::start();
    let mut sockets: Vec<_> = (0..6).map(|_| fleet.connect("a1")).collect();
    for socket in &mut sockets[..2] {
        assert!(matches!(socket.expect_close(), Some(1001 | 1012)));
    }
    let id = fleet.deploy();
    assert_eq!(expect_deployment(sockets.last_mut().unwrap())["id"], id.as_str());
}

#[test]
fn a_revoked_token_ends_the_connection() {
    let fleet = Fleet::start();
    let mut agent = fleet.connect("a1");
    let mut bystander = fleet.connect("a2");
    let list = fleet.site.cachectl_ok(&["token", "list", "--json"]);
    let tokens: serde_json::Value = serde_json::from_str(&list).unwrap();
    let token = tokens.as_array().unwrap().iter().find(|token| token["agent"] == "a1").unwrap();
    fleet.site.cachectl_ok(&["token", "revoke", token["id"].as_str().unwrap()]);
    assert_ne!(agent.expect_close(), Some(1000), "it may get a new token while it runs");
    wait_until_done("the socket ends", || matches!(agent.receive(SOON), Some(Frame::End)));
    let headers = agent_headers("a1", fleet.agent_token("a1"));
    assert_eq!(open(&fleet.site.api(), "/ws", &headers).err().expect("no socket").status, 401);
    expect_nothing(&mut bystander);
}

#[test]
fn connections_of_agents_are_in_the_audit_log() {
    let mut fleet = Fleet::start();
    expect_registered(&mut fleet.open("a1", "/ws"));
    let refused = open(&fleet.site.api(), "/ws", &agent_headers("a1", "nonsense"));
    assert_eq!(refused.err().expect("no socket").status, 401);
    for (status, outcome) in [(101, "done"), (401, "refused")] {
        wait_for(SOON, "the connection is recorded", || {
            let log = fleet.site.daemon().log();
            let mut lines = log.lines().filter(|line| line.contains(r#""action":"GET /ws""#));
            let expected = [format!(r#""status":{status}"#), format!(r#""outcome":"{outcome}""#)];
            lines.any(|line| expected.iter().all(|part| line.contains(part))).then_some(())
        });
    }
}
