//! `GET /deploy/ID/events`: the lines of a log as they come, as server-sent events; and `GET /deploy/ID/log`: all that there are, as
//! plain text.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::{DeploymentId, DeploymentRecord, NumberedLine};
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;
use warp::reply::{Reply, Response};

use super::deployment::{clock, shown};
use super::workspaces::not_permitted;
use crate::auth::TokenRef;
use crate::chain::chain;
use crate::deploy::{LogView, Owner};
use crate::http::Answer;
use crate::http::deploy::Permit;
use crate::http::deploy::deployment::unknown;
use crate::http::error::HttpError;
use crate::http::router::{Request, View};
use crate::http::state::State;
use crate::http::web::Visit;

/// How long nothing is sent at most.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a reader may take for one piece.
const SEND: Duration = Duration::from_secs(30);
/// Pause after the catalog has failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Lines that are read from the catalog at once.
const PAGE: u64 = 500;
/// Pieces that wait for a slow reader.
const AHEAD: usize = 1;

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    after: u64,
}

/// A line, as the script takes it.
#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    line: String,
}

type Pieces = mpsc::Sender<Result<Bytes, std::io::Error>>;

/// `GET /deploy/ID/events`.
pub async fn events(request: Request<View, Uuid>) -> Answer {
    let Request { state, grant: visit, path: id, head, .. } = request;
    let Query { after } = head.query()?;
    // A browser that lost the connection says what it saw last.
    let after = head.parsed_header("last-event-id")?.unwrap_or(after);
    let watched = Watched::find(&state, &visit, id).await?;
    let slot = state.deploy.slots().take(watched.owner).ok_or_else(|| {
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections; try again later")
    })?;
    let view = state.deploy.view_log_after(watched.record.id, after);
    let workspace = watched.workspace;
    let permit = Permit::new(&state, watched.token, move |fleet| {
        workspace.as_ref().is_none_or(|name| fleet.workspace(name).is_some())
    });
    let (sender, pieces) = mpsc::channel(AHEAD);
    state.deploy.sockets().spawn(async move {
        let _slot = slot;
        follow(view, permit, sender).await;
    });
    let mut response = send(pieces, "text/event-stream");
    // nginx would wait for more to come.
    let (name, value) = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response.headers_mut().insert(name, value);
    Ok(response)
}

/// `GET /deploy/ID/log`.
pub async fn plain(request: Request<View, Uuid>) -> Answer {
    let Request { state, grant: visit, path: id, .. } = request;
    let Watched { record, owner, .. } = Watched::find(&state, &visit, id).await?;
    let slot = state.deploy.slots().take(owner).ok_or_else(|| {
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections; try again later")
    })?;
    let (sender, pieces) = mpsc::channel(AHEAD);
    let reading = state.clone();
    state.deploy.sockets().spawn(async move {
        let _slot = slot;
        read(&reading, record.id, sender).await;
    });
    Ok(send(pieces, "text/plain; charset=utf-8"))
}

/// A deployment that the viewer may watch.
struct Watched {
    record: DeploymentRecord,
    owner: Owner,
    token: TokenRef,
    /// The name of its workspace. `None` if the configuration does not name its agent any more.
    workspace: Option<String>,
}

impl Watched {
    async fn find(state: &State, visit: &Visit, id: Uuid) -> Result<Self, HttpError> {
        let record =
            state.catalog.unhurried().find_deployment(DeploymentId(id)).await?.ok_or_else(unknown)?;
        let agent = state.deploy.fleet().agent_by_id(record.agent).cloned();
        let may_watch = match &agent {
            Some(agent) => visit.viewer.may_watch(state, &agent.workspace),
            None => visit.viewer.is_operator(),
        };
        let grant = visit.viewer.grant().filter(|_| may_watch).ok_or_else(not_permitted)?;
        let owner = match &agent {
            Some(agent) => Owner::Viewers(agent.workspace.id),
            None => Owner::Agent(record.agent),
        };
        let workspace = agent.map(|agent| agent.workspace.name.clone());
        Ok(Self { owner, token: grant.token, workspace, record })
    }
}

fn send(pieces: mpsc::Receiver<Result<Bytes, std::io::Error>>, content_type: &'static str) -> Response {
    let body = stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
    let mut response = warp::reply::stream(body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Sends the lines of a log up to the end of the deployment, or until the viewer may not see it any more.
async fn follow(mut view: LogView, mut permit: Permit, sender: Pieces) {
    loop {
        let piece = tokio::select! {
            lines = view.next() => match lines {
                Ok(Some(lines)) => lines_event(&lines),
                Ok(None) => {
                    let _ = timeout(SEND, sender.send(Ok(Bytes::from_static(b"event: end\ndata: {}\n\n")))).await;
                    return;
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "could not read the log of a deployment; trying again");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            () = tokio::time::sleep(SILENCE) => Bytes::from_static(b":\n\n"),
            _ = permit.ended() => return,
            () = sender.closed() => return,
        };
        if !matches!(timeout(SEND, sender.send(Ok(piece))).await, Ok(Ok(()))) {
            return;
        }
    }
}

fn lines_event(lines: &[NumberedLine]) -> Bytes {
    let last = lines.last().map_or(0, |line| line.number);
    let shown: Vec<Line<'_>> =
        lines.iter().map(|line| Line { time: clock(&line.time), line: shown(&line.line) }).collect();
    let json = serde_json::to_string(&shown).expect("lines are plain data");
    // JSON has no line breaks.
    format!("id: {last}\nevent: lines\ndata: {json}\n\n").into()
}

/// Sends the lines that there are.
async fn read(state: &Arc<State>, id: DeploymentId, sender: Pieces) {
    let mut after = 0;
    loop {
        let lines = match state.catalog.unhurried().read_log(id, after, PAGE).await {
            Ok(lines) => lines,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "could not read the log of a deployment");
                // The reply is cut off, so that nobody takes it for the whole log.
                let _ = timeout(SEND, sender.send(Err(std::io::Error::other("the catalog failed")))).await;
                return;
            }
        };
        let Some(last) = lines.last() else { return };
        after = last.number;
        let text: String = lines.iter().map(|line| format!("{} {}\n", line.time, line.line)).collect();
        if !matches!(timeout(SEND, sender.send(Ok(text.into()))).await, Ok(Ok(()))) {
            return;
        }
    }
}
