//! `/api/v1/deploy/log/ID`: an agent writes the log of a deployment, or a client views it (protocol reference 7.8, 7.9).

use std::sync::Arc;
use std::time::Duration;

use catalog::DeploymentId;
use futures_util::FutureExt;
use http::StatusCode;

use super::message;
use super::socket::{Ending, Heard, Permit, Socket, Upgrade};
use crate::auth::TokenRef;
use crate::chain::chain;
use crate::deploy::{Agent, LogProducer, LogView, Owner, Workspace};
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::router::{AgentOrActivate, LogAccess, Request};
use crate::http::state::State;

/// Most lines that are recorded at once.
const BATCH: usize = 256;
/// Pause after the catalog has failed.
const PAUSE: Duration = Duration::from_secs(1);

/// `GET /api/v1/deploy/log/ID`.
pub async fn connect(request: Request<AgentOrActivate, String>) -> Answer {
    let Request { state, grant, path: id, mut head, .. } = request;
    let upgrade = Upgrade::of(&mut head)?;
    let id = id.parse().map(DeploymentId).map_err(|_| unknown())?;
    match grant {
        LogAccess::Write(agent, token) => produce(&state, id, agent, token, upgrade).await,
        LogAccess::View(workspace, token) => view(&state, id, workspace, token, upgrade).await,
    }
}

async fn produce(
    state: &Arc<State>,
    id: DeploymentId,
    agent: Arc<Agent>,
    token: TokenRef,
    upgrade: Upgrade,
) -> Answer {
    let record = state.catalog.find_deployment(id).await?.ok_or_else(unknown)?;
    if record.agent != agent.id {
        return Err(HttpError::new(StatusCode::FORBIDDEN, "this is a deployment of another agent"));
    }
    let producer = state.deploy.produce_log(id);
    let serving = state.clone();
    upgrade.accept(state, Owner::Agent(agent.id), move |socket| take(serving, agent, token, producer, socket))
}

/// Receives the lines of an agent.
async fn take(
    state: Arc<State>,
    agent: Arc<Agent>,
    token: TokenRef,
    producer: LogProducer,
    mut socket: Socket,
) {
    socket.expect_no_answers();
    let mut permit = Permit::new(&state, token, {
        let agent = agent.clone();
        move |fleet| fleet.agent_by_id(agent.id) == Some(&agent)
    });
    let ending = loop {
        let first = tokio::select! {
            heard = socket.hear() => heard,
            ending = permit.ended() => break Some(ending),
        };
        // Lines that have arrived meanwhile share one write.
        let (mut lines, mut heard) = (Vec::new(), Some(first));
        while let Some(Heard::Text(text)) = &heard {
            lines.extend(message::read_line(text));
            heard = if lines.len() < BATCH { socket.hear().now_or_never() } else { None };
        }
        let recorded = lines.is_empty() || producer.append(lines).await;
        if !recorded || matches!(heard, Some(Heard::Gone)) {
            break None;
        }
    };
    drop(producer);
    socket.end(ending).await;
}

async fn view(
    state: &Arc<State>,
    id: DeploymentId,
    workspace: Arc<Workspace>,
    token: TokenRef,
    upgrade: Upgrade,
) -> Answer {
    if state.deploy.find_in(&workspace, id).await?.is_none() {
        // Clients take any refusal to mean that there are no logs, and continue.
        state.catalog.find_deployment(id).await?.ok_or_else(unknown)?;
        return Err(HttpError::new(
            StatusCode::UNAUTHORIZED,
            "the auth token is for another workspace than that of this deployment",
        ));
    }
    let view = state.deploy.view_log(id);
    let serving = state.clone();
    upgrade.accept(state, Owner::Viewers(workspace.id), move |socket| {
        give(serving, workspace, token, view, socket)
    })
}

/// Sends the lines to a viewer, up to the end of the deployment.
async fn give(
    state: Arc<State>,
    workspace: Arc<Workspace>,
    token: TokenRef,
    mut view: LogView,
    mut socket: Socket,
) {
    let mut permit =
        Permit::new(&state, token, move |fleet| fleet.workspace(&workspace.name) == Some(&workspace));
    let ending = loop {
        tokio::select! {
            heard = socket.hear() => if let Heard::Gone = heard {
                break None;
            },
            lines = view.next() => match lines {
                Ok(Some(lines)) => if socket.say_all(lines.iter().map(message::write_line)).await.is_err() {
                    break None;
                },
                Ok(None) => break Some(Ending::Done),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "could not read the log of a deployment; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            ending = permit.ended() => break Some(ending),
        }
    };
    drop(view);
    socket.end(ending).await;
}

fn unknown() -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, "there is no such deployment")
}
