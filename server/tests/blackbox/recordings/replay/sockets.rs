//! Recordings with websockets: requests and frames in the order of their times.

use std::collections::HashMap;

use serde_json::Value;

use super::Replay;
use crate::harness::websocket::WebSocket;
use crate::harness::{SOON, wait_for};

/// Something that was recorded, by its exchange.
enum Event {
    /// A request, or the opening of a websocket.
    Request(usize),
    /// A frame by its number.
    Frame(usize, usize),
}

impl Replay {
    /// Makes the tokens that the recorder's agent and activator had.
    pub fn make_deploy_tokens(&mut self) {
        let agent = self.site.cachectl_ok(&["agent", "token", "web"]).trim().to_owned();
        let activate = self.site.create_token(&["--workspace", "recorded", "--permission", "activate"]);
        self.tokens.extend([("recorded-agent-token", agent), ("recorded-activate-token", activate)]);
    }

    /// Sends all requests and all frames of the clients, and waits for the frames of the server where they came.
    pub fn run_with_sockets(&mut self) {
        let exchanges = self.recording["exchanges"].as_array().unwrap().clone();
        let mut events = Vec::new();
        for (number, exchange) in exchanges.iter().enumerate() {
            events.push((exchange["at_ms"].as_u64().unwrap(), false, Event::Request(number)));
            for (frame, recorded) in exchange["frames"].as_array().into_iter().flatten().enumerate() {
                // What a server sends within a millisecond answers what it was sent within it.
                let is_answer = recorded["dir"] == "server";
                events.push((recorded["at_ms"].as_u64().unwrap(), is_answer, Event::Frame(number, frame)));
            }
        }
        events.sort_by_key(|(at, is_answer, _)| (*at, *is_answer));

        let mut sockets = HashMap::new();
        for (.., event) in events {
            match event {
                Event::Request(number) if exchanges[number]["connection"] == "http" => {
                    self.exchange(&exchanges[number]);
                }
                Event::Request(number) => {
                    sockets.insert(number, self.open(&exchanges[number]));
                }
                Event::Frame(number, frame) => {
                    // Closed by one side, and what the other recorded after that comes of it.
                    let Some(socket) = sockets.remove(&number) else { continue };
                    if let Some(socket) = self.frame(&exchanges[number], frame, socket) {
                        sockets.insert(number, socket);
                    }
                }
            }
        }
    }

    fn open(&self, exchange: &Value) -> WebSocket {
        let request = &exchange["request"];
        let headers: Vec<(&str, String)> = request["headers"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| {
                !name.starts_with("Sec-") && !["Host", "Connection", "Upgrade"].contains(&name.as_str())
            })
            .map(|(name, value)| match (name.as_str(), value.as_str().unwrap()) {
                ("Authorization", recorded) => ("Authorization", self.authorization(recorded)),
                (name, value) => (name, value.to_owned()),
            })
            .collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let endpoint = self.site.on_host(request["headers"]["Host"].as_str().unwrap());
        let target = self.with_our_values(request["target"].as_str().unwrap());
        WebSocket::open(&endpoint, &target, &headers)
            .unwrap()
            .unwrap_or_else(|reply| panic!("{target}: {} {}", reply.status, reply.text()))
    }

    /// Sends or awaits a frame. Returns the socket if it is still open after that.
    fn frame(&mut self, exchange: &Value, number: usize, mut socket: WebSocket) -> Option<WebSocket> {
        let frame = &exchange["frames"][number];
        let data = frame["data"].as_str().unwrap_or_default();
        match (frame["dir"].as_str().unwrap(), frame["opcode"].as_str().unwrap()) {
            ("client", "text") => socket.send_text(&self.with_our_values(data)).unwrap(),
            ("client", "ping") => socket.send_ping(data.as_bytes()).unwrap(),
            ("client", "close") => {
                let code = frame["code"].as_u64().unwrap();
                socket.send_close(code as u16, data).unwrap();
                assert_eq!(socket.expect_close().map(u64::from), Some(code));
                return None;
            }
            // The recorder ended it by itself, which our server had no reason to do.
            ("client", "eof") | ("server", "close") => return None,
            ("server", "text") => self.compare_message(exchange, number, data, &socket.expect_json()),
            // Pings of the server are answered in passing.
            ("client", "pong") | ("server", "ping" | "pong") => {}
            other => panic!("no rule for {other:?}"),
        }
        Some(socket)
    }

    fn compare_message(&mut self, exchange: &Value, number: usize, recorded: &str, ours: &Value) {
        for (index, capture) in self.recording["captures"].as_array().unwrap().iter().enumerate() {
            if capture["issued"]["seq"] == exchange["seq"] && capture["issued"]["frame"] == number {
                assert_eq!(capture["issued"]["at"], "frame.command.contents.id");
                self.issued[index] = Some(ours["command"]["contents"]["id"].as_str().unwrap().to_owned());
            }
        }
        let mut expected: Value = serde_json::from_str(&self.with_our_values(recorded)).unwrap();
        if let Some(id) = expected.get_mut("id") {
            // Of the message itself.
            *id = ours["id"].clone();
        }
        assert_eq!(*ours, expected, "{} frame {number}", exchange["seq"]);
    }

    /// The text with the ids that our server issued in place of the recorder's.
    fn with_our_values(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (capture, ours) in self.recording["captures"].as_array().unwrap().iter().zip(&self.issued) {
            let is_id = matches!(capture["kind"].as_str(), Some("deploymentId" | "agentId"));
            if let Some(ours) = ours.as_ref().filter(|_| is_id) {
                text = text.replace(capture["value"].as_str().unwrap(), ours);
            }
        }
        text
    }

    /// What became of the deployments, in the order in which they were activated.
    pub fn last_statuses(&self) -> Vec<String> {
        let captures = self.recording["captures"].as_array().unwrap().iter().zip(&self.issued);
        let ids = captures.filter(|(capture, _)| capture["kind"] == "deploymentId");
        let token = self.token("recorded-activate-token");
        ids.map(|(_, id)| {
            let target = format!("/api/v1/deploy/deployment/{}", id.as_deref().unwrap());
            wait_for(SOON, "the deployment has ended", || {
                let deployment = self.site.api().get(&target).bearer(token).send().expect(200).json();
                let status = deployment["status"].as_str().unwrap();
                matches!(status, "Succeeded" | "Failed" | "Cancelled").then(|| status.to_owned())
            })
        })
        .collect()
    }
}
