//! `/ws`: an agent waits for deployments (protocol reference 7.5).

use std::sync::Arc;

use warp::Filter;

use super::message::{self, FetchSource};
use super::socket::{Ending, Heard, Permit, Socket, Upgrade, upgrade};
use crate::auth::TokenRef;
use crate::deploy::{Agent, Delivery, Hello, Owner};
use crate::http::state::State;
use crate::http::{Route, access, reply};

/// Longest text that is kept of what an agent says of itself.
const LONGEST: usize = 100;

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let state = state.clone();
    let text = warp::header::optional::<String>;
    warp::path!("ws")
        .and(warp::get())
        .and(access::authorization())
        .and(text("name"))
        .and(text("version"))
        .and(text("system"))
        .and(access::host())
        .and(upgrade())
        .then(
            move |authorization: Option<String>,
                  name: Option<String>,
                  version,
                  system,
                  host,
                  upgrade: Upgrade| {
                let state = state.clone();
                reply(async move {
                    let (agent, token) = access::agent(&state, name.as_deref(), authorization.as_deref())?;
                    let hello = Hello { version: shortened(version), system: shortened(system) };
                    let connected = Connected { agent: agent.clone(), token, hello, host };
                    let serving = state.clone();
                    let owner = Owner::Agent(agent.id);
                    upgrade.accept(&state, owner, move |socket| serve(serving, connected, socket))
                })
            },
        )
}

/// An agent that has opened a socket.
struct Connected {
    agent: Arc<Agent>,
    token: TokenRef,
    hello: Hello,
    /// The host that it connected to, as it writes it.
    host: Option<String>,
}

fn shortened(text: Option<String>) -> String {
    text.unwrap_or_default().chars().filter(|character| !character.is_control()).take(LONGEST).collect()
}

async fn serve(state: Arc<State>, connected: Connected, mut socket: Socket) {
    let Connected { agent, token, hello, host } = connected;
    let mut source = FetchSource::of(&state, &agent, host.as_deref());
    // An agent drops deployments that come before this.
    if socket.say(message::agent_registered(&agent, &source)).await.is_err() {
        return;
    }
    tracing::info!(agent = agent.name, version = hello.version, system = hello.system, "an agent connected");
    let system = hello.system.clone();
    let mut delivery = Delivery::begin(state.deploy.clone(), agent.clone(), hello);
    let displaced = delivery.displaced();
    let mut permit = Permit::new(&state, token, {
        let agent = agent.clone();
        move |fleet| fleet.agent_by_id(agent.id) == Some(&agent)
    });
    let ending = loop {
        tokio::select! {
            // Agents send nothing but pings here; whatever else comes means nothing.
            heard = socket.hear() => if let Heard::Gone = heard {
                break None;
            },
            record = delivery.next() => {
                // The keys of the cache may be others than when the agent connected.
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
