//! Two daemons that share a catalog: it does not matter which of them an agent, an operator or a reader is connected to.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{
    agent_headers, agent_token, bearer, expect_deployment, expect_nothing, expect_registered, finished, line,
    log_target, open, read_to_end, started, wait_until_done,
};
use crate::harness::websocket::WebSocket;
use crate::harness::{Cluster, Path, Site};

/// Two daemons, an activate token, and the headers of the agent `a1`.
fn start() -> (Cluster, String, Vec<(&'static str, String)>) {
    let cluster = Cluster::with(|config| {
        config["workspaces"] = json!([{"name": "main", "cache": "pub"}]);
        config["agents"] = json!([{"name": "a1", "workspace": "main"}]);
    });
    let activate = cluster.a.create_token(&["--workspace", "main", "--permission", "activate"]);
    let headers = agent_headers("a1", &agent_token(&cluster.a, "a1"));
    (cluster, activate, headers)
}

/// Has the agent `a1` run a path. Returns the id of the deployment.
fn activate_at(site: &Site, token: &str, path: &Path) -> String {
    let specification = json!({"agents": {"a1": path.store_path()}});
    let request = site.api().post("/api/v2/deploy/activate").bearer(token).json(&specification);
    let reply = request.send().expect(200).json();
    reply["agents"]["a1"]["id"].as_str().unwrap().to_owned()
}

/// Opens a websocket at a daemon, once that knows the token.
fn open_at(site: &Site, target: &str, headers: &[(&str, String)]) -> WebSocket {
    let mut socket = None;
    wait_until_done("the token is good at the other daemon", || {
        socket = open(&site.api(), target, headers).ok();
        socket.is_some()
    });
    socket.unwrap()
}

/// A daemon each for two connections of one agent, which has a bootstrapped one besides the real one.
#[test]
fn of_two_connections_to_two_daemons_one_gets_it() {
    let (cluster, activate, headers) = start();
    let [a, b] = [&cluster.a, &cluster.b];
    let mut sockets = [a, b].map(|site| open_at(site, "/ws", &headers));
    sockets.iter_mut().for_each(|socket| drop(expect_registered(socket)));
    // The times that decide about it have whole seconds.
    let connected = SystemTime::now();
    wait_until_done("the next second has begun", || connected.elapsed().unwrap() > Duration::from_secs(1));
    let path = Path::small("system");
    a.pusher("pub").push(&path);
    let id = activate_at(a, &activate, &path);

    let mut told = Vec::new();
    wait_until_done("the agent is told", || {
        told.extend(sockets.iter_mut().filter_map(|socket| socket.next(Duration::from_millis(50))));
        !told.is_empty()
    });
    // Longer than a connection waits with what was sent over an earlier one.
    told.extend(sockets.iter_mut().filter_map(|socket| socket.next(Duration::from_secs(3))));
    assert_eq!(told.len(), 1, "{told:?}");
    let target = format!("/api/v1/deploy/deployment/{id}");
    let status = b.api().get(&target).bearer(&activate).send().expect(200).json();
    assert_eq!(status["status"], "Pending");
}

#[test]
fn an_agent_gets_what_was_activated_at_another_daemon() {
    let (cluster, activate, headers) = start();
    let (a, b) = (&cluster.a, &cluster.b);
    let path = Path::small("system");
    a.pusher("pub").push(&path);

    let mut agent = open_at(b, "/ws", &headers);
    let id = expect_registered(&mut agent)["id"].clone();
    assert_eq!(expect_registered(&mut open_at(a, "/ws-deployment", &headers))["id"], id, "one agent to both");

    let id = activate_at(a, &activate, &path);
    let id = id.as_str();
    assert_eq!(expect_deployment(&mut agent)["id"], id);
    expect_nothing(&mut agent);

    let view = format!("{}?view=true", log_target(id));
    let mut view = open_at(a, &view, &[("Authorization", bearer(&activate))]);
    let mut producer = open_at(b, &log_target(id), &headers);
    let mut work = open_at(b, "/ws-deployment", &headers);
    expect_registered(&mut work);
    work.send_json(&started(id, None)).unwrap();
    producer.send_json(&line("Successfully activated the deployment.")).unwrap();
    producer.close();
    work.send_json(&finished(id, true)).unwrap();
    work.close();
    assert_eq!(read_to_end(&mut view), ["Successfully activated the deployment."]);
    let target = format!("/api/v1/deploy/deployment/{id}");
    let status = |site: &Site| -> Value {
        site.api().get(&target).bearer(&activate).send().expect(200).json()["status"].clone()
    };
    assert_eq!([status(a), status(b)], [json!("Succeeded"), json!("Succeeded")]);
}
