//! `/api/v1/deploy/log/ID`: an agent writes the log of a deployment, or someone follows it (protocol reference 7.8, 7.9).

use std::sync::Arc;
use std::time::Duration;

use catalog::DeploymentId;
use futures_util::FutureExt;
use http::StatusCode;
use serde::Deserialize;
use warp::Filter;

use super::message;
use super::socket::{Ending, Heard, Permit, Socket, Upgrade, upgrade};
use crate::auth::TokenRef;
use crate::deploy::{Agent, LogProducer, LogView, Owner, Workspace};
use crate::http::error::HttpError;
use crate::http::state::State;
use crate::http::{Answer, Route, access, reply};

/// Most lines that are recorded at once.
const BATCH: usize = 256;
/// Pause after the catalog could not be asked.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    view: Option<String>,
}

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let state = state.clone();
    warp::path!("api" / "v1" / "deploy" / "log" / String)
        .and(warp::get())
        .and(warp::query::<Query>())
        .and(access::authorization())
        .and(warp::header::optional::<String>("name"))
        .and(upgrade())
        .then(
            move |id: String, query: Query, authorization: Option<String>, name: Option<String>, upgrade| {
                let state = state.clone();
                let views = query.view.is_some_and(|view| !matches!(view.as_str(), "false" | "0"));
                reply(async move {
                    if views {
                        view(&state, &id, authorization.as_deref(), upgrade).await
                    } else {
                        produce(&state, &id, name.as_deref(), authorization.as_deref(), upgrade).await
                    }
                })
            },
        )
}

async fn produce(
    state: &Arc<State>,
    id: &str,
    name: Option<&str>,
    authorization: Option<&str>,
    upgrade: Upgrade,
) -> Answer {
    let (agent, token) = access::agent(state, name, authorization)?;
    let id = parse(id)?;
    let record = state.catalog.find_deployment(id).await?.ok_or_else(unknown)?;
    if record.agent != agent.id {
        return Err(HttpError::new(StatusCode::FORBIDDEN, "this is a deployment of another agent"));
    }
    let producer = state.deploy.produce_log(id);
    let serving = state.clone();
    upgrade.accept(state, Owner::Agent(agent.id), move |socket| take(serving, agent, token, producer, socket))
}

/// Takes the lines of an agent.
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
        // What has come meanwhile shares one write.
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

async fn view(state: &Arc<State>, id: &str, authorization: Option<&str>, upgrade: Upgrade) -> Answer {
    let (workspace, token) = access::activate(state, authorization)?;
    let id = parse(id)?;
    if state.deploy.find_in(&workspace, id).await?.is_none() {
        // Clients take any refusal as "no logs" and go on.
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

/// Gives the lines to a reader, up to the end of the deployment.
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
                    tracing::warn!(%error, "could not read the log of a deployment; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            ending = permit.ended() => break Some(ending),
        }
    };
    drop(view);
    socket.end(ending).await;
}

fn parse(id: &str) -> Result<DeploymentId, HttpError> {
    id.parse().map(DeploymentId).map_err(|_| unknown())
}

fn unknown() -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, "there is no such deployment")
}
