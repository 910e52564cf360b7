//! The messages on the sockets, in the client's spelling (protocol reference 7.5, 7.7 and 7.8).

use catalog::{DeploymentId, DeploymentRecord, NumberedLine, UnixTime};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::deploy::{Agent, Report, time};
use crate::http::state::State;
use crate::origin::without_port;

/// Largest size that the catalog can record.
const MOST_BYTES: u64 = i64::MAX as u64;
/// Longest host name.
const MOST_HOST_BYTES: usize = 253;

/// The cache that an agent fetches from and the key that it trusts for it. Null if the agent has to use the settings of its
/// machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FetchSource(serde_json::Value);

impl FetchSource {
    /// Returns the cache of the agent's workspace, for an agent that connects to `host`.
    ///
    /// The agent derives the name of the key from the host and takes only the key from us (protocol reference 7.6). So the
    /// cache has to sign under that name with the key that is sent.
    pub(super) fn of(state: &State, agent: &Agent, host: Option<&str>) -> Self {
        let source = state.caches().find(&agent.workspace.cache).and_then(|cache| {
            let name = match host.map(without_port).filter(|host| is_key_host(host)) {
                Some(host) => cache.sign_for_agents_of(host),
                None => cache.key_name.clone(),
            };
            // Without a key the agent could trust nothing from the cache; it behaves as if there was none.
            let key = cache.keys().agent_key(&name)?;
            Some(json!({
                "cacheName": cache.name(),
                "publicKey": key.key_base64(),
                "isPublic": cache.is_public(),
            }))
        });
        Self(source.unwrap_or_default())
    }
}

/// Whether this can be the host in the name of a key. IPv6 addresses cannot: a key name has no colons.
fn is_key_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=MOST_HOST_BYTES).contains(&host.len()) && host.bytes().all(allowed)
}

/// Writes the message that gives an agent its id and its cache. May be sent again: the last one counts.
pub(super) fn agent_registered(agent: &Agent, source: &FetchSource) -> String {
    let contents = json!({ "id": agent.id.0, "cache": source.0 });
    envelope("AgentRegistered", contents, agent)
}

/// Writes the message that gives an agent a deployment, with the script for its system.
pub(super) fn deployment(record: &DeploymentRecord, agent: &Agent, system: &str) -> String {
    let contents = json!({
        "id": record.id.0,
        "index": record.number,
        "storePath": record.store_path,
        "rollbackScript": record.rollback_scripts.get(system),
    });
    envelope("Deployment", contents, agent)
}

fn envelope(method: &str, contents: serde_json::Value, agent: &Agent) -> String {
    let message = json!({
        "method": method,
        "command": { "tag": method, "contents": contents },
        "agent": agent.id.0,
        "id": Uuid::new_v4(),
    });
    message.to_string()
}

/// The parts of a report that matter.
#[derive(Deserialize)]
struct Envelope {
    command: Command,
}

#[derive(Deserialize)]
#[serde(tag = "tag")]
enum Command {
    #[serde(rename_all = "camelCase")]
    DeploymentStarted {
        id: Uuid,
        #[serde(default)]
        time: String,
        #[serde(default)]
        closure_size: Option<u64>,
    },
    #[serde(rename_all = "camelCase")]
    DeploymentFinished {
        id: Uuid,
        #[serde(default)]
        time: String,
        has_succeeded: bool,
    },
}

/// Reads an agent's report about a deployment. `None` if the message is something else.
pub(super) fn report(text: &str) -> Option<Report> {
    let envelope: Envelope = serde_json::from_str(text).ok()?;
    let at = |time: &str| time::parse(time).unwrap_or_else(UnixTime::now);
    Some(match envelope.command {
        Command::DeploymentStarted { id, time, closure_size } => Report::Started {
            id: DeploymentId(id),
            at: at(&time),
            closure_size: closure_size.filter(|&size| size <= MOST_BYTES),
        },
        Command::DeploymentFinished { id, time, has_succeeded } => {
            Report::Finished { id: DeploymentId(id), at: at(&time), succeeded: has_succeeded }
        }
    })
}

/// A log line.
#[derive(Deserialize)]
struct ReadLine {
    line: String,
    #[serde(default)]
    time: String,
}

#[derive(Serialize)]
struct WrittenLine<'a> {
    line: &'a str,
    time: &'a str,
}

/// Reads the time and the text of a log line. `None` if the message is something else.
pub(super) fn read_line(text: &str) -> Option<(String, String)> {
    let read: ReadLine = serde_json::from_str(text).ok()?;
    Some((read.time, read.line))
}

/// Writes a log line.
pub(super) fn write_line(line: &NumberedLine) -> String {
    serde_json::to_string(&WrittenLine { line: &line.line, time: &line.time })
        .expect("two texts always encode")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_whatever_else_the_message_holds() {
        let id = Uuid::from_u128(1);
        let text = format!(
            r#"{{"method":"x","agent":null,"id":"y","command":{{"tag":"DeploymentStarted","id":"{id}",
            "time":"2026-01-01T12:00:00.123456789012Z","closureSize":null}}}}"#
        );
        let started =
            Report::Started { id: DeploymentId(id), at: UnixTime(1_767_268_800), closure_size: None };
        assert_eq!(report(&text), Some(started));
        let text =
            text.replace("Started", "Finished").replace(r#""closureSize":null"#, r#""hasSucceeded":true"#);
        let finished =
            Report::Finished { id: DeploymentId(id), at: UnixTime(1_767_268_800), succeeded: true };
        assert_eq!(report(&text), Some(finished));
    }

    #[test]
    fn what_is_no_report_is_none() {
        for text in
            ["", "{", "null", r#"{"command":{}}"#, r#"{"command":{"tag":"DeploymentStarted","id":"x"}}"#]
        {
            assert_eq!(report(text), None, "{text}");
        }
    }

    #[test]
    fn a_size_that_nobody_can_have_is_none() {
        let id = Uuid::nil();
        let text = format!(
            r#"{{"command":{{"tag":"DeploymentStarted","id":"{id}","closureSize":18446744073709551615}}}}"#
        );
        assert!(matches!(report(&text), Some(Report::Started { closure_size: None, .. })));
    }
}
