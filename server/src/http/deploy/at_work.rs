//! `/ws-deployment`: an agent reports the progress of a deployment (protocol reference 7.7).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::message::{self, FetchSource};
use super::socket::{Heard, Permit, Socket, Upgrade};
use crate::auth::TokenRef;
use crate::deploy::{Agent, Owner};
use crate::http::Answer;
use crate::http::router::{self, Request};
use crate::http::state::State;

/// How long a closing connection waits for its last reports to be recorded.
const RECORDING: Duration = Duration::from_secs(2);
/// Most reports that wait to be recorded. An agent sends three for each deployment.
const QUEUE: usize = 100;

/// `GET /ws-deployment`.
pub async fn connect(request: Request<router::Agent>) -> Answer {
    let Request { state, grant: (agent, token), mut head, .. } = request;
    let host = head.host()?.map(str::to_owned);
    let upgrade = Upgrade::of(&mut head)?;
    let owner = Owner::Agent(agent.id);
    let serving = state.clone();
    upgrade.accept(&state, owner, move |socket| serve(serving, agent, token, host, socket))
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
    // Recorded in a task of its own: an agent rolls back if a ping is not answered within ten seconds, and the catalog may take
    // longer.
    let (reports, mut received) = mpsc::channel(QUEUE);
    let recording = {
        let (deploy, agent) = (state.deploy.clone(), agent.clone());
        async move {
            while let Some(report) = received.recv().await {
                deploy.report(&agent, report).await;
            }
            // Only now: the records are a better sign than the socket that the agent is free.
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
                    None => tracing::debug!(agent = agent.name, "ignored a message that is no report"),
                },
            },
            ending = permit.ended() => break Some(ending),
        }
    };
    drop(reports);
    // The answer to the close frame confirms that the reports are recorded. The agent waits three seconds for it; reports that
    // take longer are recorded afterwards.
    let _ = timeout(RECORDING, recording).await;
    socket.end(ending).await;
}
