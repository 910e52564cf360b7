//! `/ws`: an agent waits for deployments (protocol reference 7.5).

use std::sync::Arc;

use super::message::{self, FetchSource};
use super::socket::{Ending, Heard, Permit, Socket, Upgrade};
use crate::auth::TokenRef;
use crate::deploy::{Agent, Delivery, Hello, Owner};
use crate::http::Answer;
use crate::http::router::{self, Request};
use crate::http::state::State;

/// Longest text that is kept of each header in which an agent describes itself.
const LONGEST: usize = 100;

/// `GET /ws`.
pub async fn connect(request: Request<router::Agent>) -> Answer {
    let Request { state, grant: (agent, token), mut head, .. } = request;
    let hello =
        Hello { version: shortened(head.header("version")?), system: shortened(head.header("system")?) };
    let host = head.host()?.map(str::to_owned);
    let upgrade = Upgrade::of(&mut head)?;
    let owner = Owner::Agent(agent.id);
    let serving = state.clone();
    let connected = Connected { agent, token, hello, host };
    upgrade.accept(&state, owner, move |socket| serve(serving, connected, socket))
}

/// An agent that has opened a socket.
struct Connected {
    agent: Arc<Agent>,
    token: TokenRef,
    hello: Hello,
    /// The `Host` header.
    host: Option<String>,
}

fn shortened(text: Option<&str>) -> String {
    text.unwrap_or_default().chars().filter(|character| !character.is_control()).take(LONGEST).collect()
}

async fn serve(state: Arc<State>, connected: Connected, mut socket: Socket) {
    let Connected { agent, token, hello, host } = connected;
    let mut source = FetchSource::of(&state, &agent, host.as_deref());
    let (version, system) = (hello.version.clone(), hello.system.clone());
    // From here on the agent is online: it must be so before it learns that it is registered.
    let mut delivery = Delivery::begin(state.deploy.clone(), agent.clone(), hello);
    // An agent drops deployments that arrive before this message.
    if socket.say(message::agent_registered(&agent, &source)).await.is_err() {
        return;
    }
    tracing::info!(agent = agent.name, version, system, "an agent connected");
    let displaced = delivery.displaced();
    let mut permit = Permit::new(&state, token, {
        let agent = agent.clone();
        move |fleet| fleet.agent_by_id(agent.id) == Some(&agent)
    });
    let ending = loop {
        tokio::select! {
            // Agents send only pings here. Anything else is ignored.
            heard = socket.hear() => if let Heard::Gone = heard {
                break None;
            },
            record = delivery.next() => {
                // The keys of the cache may have changed since the agent connected.
                let now = FetchSource::of(&state, &agent, host.as_deref());
                if now != source {
                    if socket.say(message::agent_registered(&agent, &now)).await.is_err() {
                        break None;
                    }
                    source = now;
                }
                if socket.say(message::deployment(&record, &agent, &system)).await.is_err() {
                    break None;
                }
                tracing::info!(agent = agent.name, deployment = %record.id.0, number = record.number,
                    "a deployment was sent");
            }
            () = displaced.cancelled() => break Some(Ending::Displaced),
            ending = permit.ended() => break Some(ending),
        }
    };
    drop(delivery);
    socket.end(ending).await;
    tracing::info!(agent = agent.name, "an agent's connection ended");
}
