//! Cachix Deploy: the numbered conformance tests 77 to 106 and 110, scripted agents that misbehave, and crashes.

mod activation;
mod agent;
mod at_work;
mod client;
mod crash;
mod faults;
mod logs;
mod operate;
mod shared;
mod signatures;
mod thousand;
mod timeouts;
mod tokens;

use std::io::{BufReader, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::harness::websocket::{Frame, WebSocket};
use crate::harness::{Endpoint, Incoming, Path, Response, SOON, Site, wait_for};

/// The system that scripted agents claim to have.
const SYSTEM: &str = "x86_64-linux";

/// A daemon with the workspace `main` (agents `a1` and `a2`, cache `pub`) and the workspace `other` (agent `b1`, cache
/// `priv`), and a token for each.
pub struct Fleet {
    pub site: Site,
    activate: [(String, String); 2],
    agents: Vec<(String, String)>,
}

impl Fleet {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// [`Self::start`] with changes to the config.
    pub fn with(edit: impl Fn(&mut Value)) -> Self {
        let site = Site::with(|config| {
            config["workspaces"] =
                json!([{"name": "main", "cache": "pub"}, {"name": "other", "cache": "priv"}]);
            config["agents"] = json!([
                {"name": "a1", "workspace": "main"},
                {"name": "a2", "workspace": "main"},
                {"name": "b1", "workspace": "other"},
            ]);
            edit(config);
        });
        let activate = ["main", "other"].map(|workspace| {
            let token = site.create_token(&["--workspace", workspace, "--permission", "activate"]);
            (workspace.to_owned(), token)
        });
        let agents = ["a1", "a2", "b1"].map(|name| (name.to_owned(), agent_token(&site, name)));
        Self { site, activate, agents: agents.into() }
    }

    /// The activate token of a workspace.
    pub fn activate_token(&self, workspace: &str) -> &str {
        &self.activate.iter().find(|(name, _)| name == workspace).unwrap().1
    }

    /// The token of an agent.
    pub fn agent_token(&self, agent: &str) -> &str {
        &self.agents.iter().find(|(name, _)| name == agent).unwrap().1
    }

    /// Pushes something new to the cache of the workspace `main`.
    pub fn push(&self, name: &str) -> String {
        let path = Path::small(name);
        self.site.pusher("pub").push(&path);
        path.store_path()
    }

    /// Sends a specification to the workspace `main`.
    pub fn send(&self, specification: &Value) -> Response {
        let token = self.activate_token("main");
        self.site.api().post("/api/v2/deploy/activate").bearer(token).json(specification).send()
    }

    /// Has an agent of the workspace `main` run a path. Returns the id of the deployment.
    #[track_caller]
    pub fn activate(&self, agent: &str, path: &str) -> String {
        let reply = self.send(&json!({"agents": {agent: path}})).expect(200).json();
        reply["agents"][agent]["id"].as_str().unwrap().to_owned()
    }

    /// Pushes something new and has the agent `a1` run it. Returns the id of the deployment.
    #[track_caller]
    pub fn deploy(&self) -> String {
        self.activate("a1", &self.push("system"))
    }

    /// What the daemon says of a deployment in the workspace `main`.
    #[track_caller]
    pub fn deployment(&self, id: &str) -> Value {
        let target = format!("/api/v1/deploy/deployment/{id}");
        self.site.api().get(&target).bearer(self.activate_token("main")).send().expect(200).json()
    }

    #[track_caller]
    pub fn status(&self, id: &str) -> String {
        self.deployment(id)["status"].as_str().unwrap().to_owned()
    }

    /// Waits until a deployment has a status.
    #[track_caller]
    pub fn wait_for_status(&self, id: &str, status: &str) {
        let mut last = String::new();
        let reached = crate::harness::wait_unless(SOON, || {
            last = self.status(id);
            (last == status).then_some(())
        });
        assert!(reached.is_some(), "the deployment is {last} and not {status}");
    }

    /// Opens one of the three sockets of an agent.
    #[track_caller]
    pub fn open(&self, agent: &str, target: &str) -> WebSocket {
        let headers = agent_headers(agent, self.agent_token(agent));
        open(&self.site.api(), target, &headers).unwrap_or_else(|reply| panic!("{}", reply.text()))
    }

    /// Connects an agent and takes the first message.
    #[track_caller]
    pub fn connect(&self, agent: &str) -> WebSocket {
        let mut socket = self.open(agent, "/ws");
        expect_registered(&mut socket);
        socket
    }

    /// Opens the socket of a deployment and takes the first message.
    #[track_caller]
    pub fn work(&self, agent: &str) -> WebSocket {
        let mut socket = self.open(agent, "/ws-deployment");
        expect_registered(&mut socket);
        socket
    }

    /// Opens the log of a deployment for its agent.
    #[track_caller]
    pub fn produce(&self, agent: &str, id: &str) -> WebSocket {
        let mut socket = self.open(agent, &log_target(id));
        socket.answers_pings = false;
        socket
    }

    /// Follows the log of a deployment of the workspace `main`.
    #[track_caller]
    pub fn view(&self, id: &str) -> WebSocket {
        let token = bearer(self.activate_token("main"));
        open(&self.site.api(), &format!("{}?view=true", log_target(id)), &[("Authorization", &token)])
            .unwrap_or_else(|reply| panic!("{}", reply.text()))
    }
}

/// Asks on the admin socket, without a process for each question.
#[track_caller]
pub fn admin(site: &Site, method: &str, target: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let stream = UnixStream::connect(site.directory().join("admin.sock")).unwrap();
    let length = body.len();
    write!(&stream, "{method} {target} HTTP/1.1\r\nHost: admin\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let reply = Incoming::read(BufReader::new(stream), false).unwrap().into_response().unwrap();
    reply.expect(200).json()
}

/// A new token of an agent.
#[track_caller]
pub fn agent_token(site: &Site, name: &str) -> String {
    site.cachectl_ok(&["agent", "token", name]).trim().to_owned()
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub fn log_target(id: &str) -> String {
    format!("/api/v1/deploy/log/{id}")
}

/// The headers that agents send.
pub fn agent_headers(name: &str, token: &str) -> Vec<(&'static str, String)> {
    vec![
        ("Authorization", bearer(token)),
        ("name", name.to_owned()),
        ("version", "1.11.1".to_owned()),
        ("system", SYSTEM.to_owned()),
    ]
}

/// Opens a websocket; the reply if that is refused.
#[track_caller]
pub fn open<S: AsRef<str>>(
    endpoint: &Endpoint,
    target: &str,
    headers: &[(&str, S)],
) -> Result<WebSocket, Response> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    WebSocket::open(endpoint, target, &headers).unwrap()
}

/// Takes the first message on a socket of an agent; returns what it holds.
#[track_caller]
pub fn expect_registered(socket: &mut WebSocket) -> Value {
    let message = socket.expect_json();
    assert_eq!(message["command"]["tag"], "AgentRegistered", "{message}");
    message["command"]["contents"].clone()
}

/// Takes a deployment from an agent's socket; returns what it holds.
#[track_caller]
pub fn expect_deployment(socket: &mut WebSocket) -> Value {
    let message = socket.expect_json();
    assert_eq!(message["command"]["tag"], "Deployment", "{message}");
    message["command"]["contents"].clone()
}

/// Checks that nothing comes before the answer to a ping, and so that nothing was on its way.
#[track_caller]
pub fn expect_nothing(socket: &mut WebSocket) {
    socket.send_ping(b"anything?").unwrap();
    loop {
        match socket.receive(SOON) {
            Some(Frame::Pong(payload)) if payload == b"anything?" => return,
            Some(Frame::Ping(_) | Frame::Pong(_)) => {}
            other => panic!("expected nothing, got {other:?}"),
        }
    }
}

/// What agents say at the start of a deployment.
pub fn started(id: &str, closure_size: Option<u64>) -> Value {
    let time = "2026-01-01T12:00:00.123456789012Z";
    let command = json!({"tag": "DeploymentStarted", "id": id, "time": time, "closureSize": closure_size});
    message("DeploymentStarted", &command)
}

/// What agents say at the end of a deployment.
pub fn finished(id: &str, succeeded: bool) -> Value {
    let time = "2026-01-01T12:00:05Z";
    let command = json!({"tag": "DeploymentFinished", "id": id, "time": time, "hasSucceeded": succeeded});
    message("DeploymentFinished", &command)
}

fn message(method: &str, command: &Value) -> Value {
    let id = "6154a6e0-56f9-4c5c-b203-57fda6673413";
    json!({"method": method, "command": command, "agent": null, "id": id})
}

/// A line of a log.
pub fn line(text: &str) -> Value {
    json!({"line": text, "time": "2026-01-01T12:00:01.5Z"})
}

/// Reads the lines of a log up to the end of the socket.
#[track_caller]
pub fn read_to_end(view: &mut WebSocket) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match view.next(SOON) {
            Some(Frame::Text(text)) => {
                let line: Value = serde_json::from_str(&text).unwrap();
                assert!(line["time"].is_string(), "{line}");
                lines.push(line["line"].as_str().unwrap().to_owned());
            }
            Some(Frame::Close(Some(1000))) => return lines,
            other => panic!("after {lines:?}: {other:?}"),
        }
    }
}

/// Does a deployment from the first message to the last.
#[track_caller]
pub fn carry_out(fleet: &Fleet, agent: &str, id: &str, succeeded: bool) {
    let mut work = fleet.work(agent);
    work.send_json(&started(id, None)).unwrap();
    work.send_json(&finished(id, succeeded)).unwrap();
    work.close();
}

/// Waits until the daemon knows that an agent is connected, or is not.
#[track_caller]
pub fn wait_until_done(what: &str, mut done: impl FnMut() -> bool) {
    wait_for(SOON, what, || done().then_some(()));
}
