//! `/ws-deployment`: an agent tells how a deployment goes (protocol reference 7.7).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use warp::Filter;

use super::message::{self, FetchSource};
use super::socket::{Heard, Permit, Socket, Upgrade, upgrade};
use crate::auth::TokenRef;
use crate::deploy::{Agent, Owner};
use crate::http::state::State;
use crate::http::{Route, access, reply};

/// How long the answer to a goodbye may be late.
const RECORDING: Duration = Duration::from_secs(2);
/// Messages that wait to be recorded. An agent sends three for each deployment.
const QUEUE: usize = 100;

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let state = state.clone();
    warp::path!("ws-deployment")
        .and(warp::get())
        .and(access::authorization())
        .and(warp::header::optional::<String>("name"))
        .and(access::host())
        .and(upgrade())
        .then(move |authorization: Option<String>, name: Option<String>, host, upgrade: Upgrade| {
            let state = state.clone();
            reply(async move {
                let (agent, token) = access::agent(&state, name.as_deref(), authorization.as_deref())?;
                let serving = state.clone();
                let owner = Owner::Agent(agent.id);
                upgrade.accept(&state, owner, move |socket| serve(serving, agent, token, host, socket))
            })
        })
}

async fn serve(
    state: Arc<State>,
    agent: Arc<Agent>,
    token: TokenRef,
    host: Option<String>,
    mut socket: Socket,
) {
    let at_work = state.deploy.online().begin_work(agent.id);
    let source = FetchSource::of(&state, &agent, host.as_deref());
    // Clients before 1.1 wait for it.
    if socket.say(message::agent_registered(&agent, &source)).await.is_err() {
        return;
    }
    // Recorded beside the socket: an agent rolls back when a ping is not answered for ten seconds, and the catalog may
    // take longer.
    let (reports, mut received) = mpsc::channel(QUEUE);
    let recording = {
        let (deploy, agent) = (state.deploy.clone(), agent.clone());
        async move {
            while let Some(report) = received.recv().await {
                deploy.report(&agent, report).await;
            }
            // Only now: what was recorded says better than the socket whether the agent is free.
            drop(at_work);
        }
    };
    let recording = state.deploy.sockets().spawn(recording);

    let mut permit = Permit::new(&state, token, {
        let agent = agent.clone();
        move |fleet| fleet.agent_by_id(agent.id) == Some(&agent)
    });
    let ending = loop {
        tokio::select! {
            heard = socket.hear() => match heard {
                Heard::Gone => break None,
                Heard::Text(text) => match message::report(&text) {
                    Some(report) => if reports.send(report).await.is_err() {
                        break None;
                    },
                    None => tracing::debug!(agent = agent.name, "a message that means nothing here"),
                },
            },
            ending = permit.ended() => break Some(ending),
        }
    };
    drop(reports);
    // An agent that was answered has been heard. It waits for three seconds, then the rest is recorded all the same.
    let _ = timeout(RECORDING, recording).await;
    socket.end(ending).await;
}
