//! `GET /v1/deployments/WHICH/log`: the log of a deployment, line by line.

use std::convert::Infallible;
use std::sync::Arc;

use admin_api::{EVENTS_INTERVAL, EVENTS_MEDIA_TYPE, FollowLog, LogEvent};
use bytes::Bytes;
use catalog::{CatalogError, DeploymentId, NumberedLine};
use futures_util::{Stream, stream};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tokio::sync::mpsc;
use warp::Filter;
use warp::reply::{Reply, Response};

use super::deployments::{find, info};
use super::{Answer, IntoReply, body, raw_query};
use crate::deploy::LogView;
use crate::http::Route;
use crate::http::state::State;

/// Most lines that are read at a time.
const PAGE: u64 = 500;

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let state = state.clone();
    warp::path!("v1" / "deployments" / String / "log").and(warp::get()).and(raw_query()).then(
        move |which: String, query: String| {
            let state = state.clone();
            async move { log(&state, &which, &query).await.unwrap_or_else(IntoReply::into_reply) }
        },
    )
}

async fn log(state: &Arc<State>, which: &str, query: &str) -> Answer<Response> {
    let FollowLog { follow } = body::query(query)?;
    let (record, _) = find(state, which).await?;
    let source = if follow == Some(true) {
        Source::Followed(Box::new(state.deploy.view_log(record.id)))
    } else {
        Source::Stored { after: 0 }
    };
    let mut telling = Telling { state: state.clone(), id: record.id, source, ended: false };
    let (told, heard) = mpsc::channel(1);
    tokio::spawn(async move {
        // Ends when nobody listens any more, which shows at the next event.
        while let Some(events) = telling.next().await {
            if told.send(events).await.is_err() {
                break;
            }
        }
    });
    let mut response = warp::reply::stream(lines(heard)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS_MEDIA_TYPE));
    Ok(response)
}

/// What one reader has been told.
struct Telling {
    state: Arc<State>,
    id: DeploymentId,
    source: Source,
    ended: bool,
}

/// Where lines come from.
enum Source {
    /// Those that are there.
    Stored { after: u64 },
    /// Those that are there, and what comes, up to the end of the deployment.
    Followed(Box<LogView>),
}

fn lines(heard: mpsc::Receiver<Vec<LogEvent>>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(heard, |mut heard| async move {
        let events = heard.recv().await?;
        let mut text = Vec::new();
        for event in events {
            text.extend(serde_json::to_vec(&event).unwrap_or_default());
            text.push(b'\n');
        }
        Some((Ok(Bytes::from(text)), heard))
    })
}

impl Telling {
    /// The next events; none after the last one, or when the daemon stops or cannot go on.
    async fn next(&mut self) -> Option<Vec<LogEvent>> {
        if self.ended {
            return None;
        }
        let closing = self.state.deploy.closing().clone();
        let lines = tokio::select! {
            () = closing.cancelled() => return None,
            () = tokio::time::sleep(EVENTS_INTERVAL / 2) => return Some(vec![LogEvent::Waiting]),
            lines = self.source.next(&self.state, self.id) => lines,
        };
        match lines {
            Ok(Some(lines)) => Some(
                lines.into_iter().map(|line| LogEvent::Line { time: line.time, line: line.line }).collect(),
            ),
            Ok(None) => {
                self.ended = true;
                let (record, name) = find(&self.state, &self.id.0.to_string()).await.ok()?;
                Some(vec![LogEvent::End { deployment: info(&record, &name) }])
            }
            Err(error) => {
                tracing::warn!(%error, "could not read the log of a deployment");
                None
            }
        }
    }
}

impl Source {
    /// The next lines; none at the end. May be dropped at any time.
    async fn next(
        &mut self,
        state: &State,
        id: DeploymentId,
    ) -> Result<Option<Vec<NumberedLine>>, CatalogError> {
        match self {
            Self::Followed(view) => view.next().await,
            Self::Stored { after } => {
                let lines = state.catalog.read_log(id, *after, PAGE).await?;
                let Some(last) = lines.last() else { return Ok(None) };
                *after = last.number;
                Ok(Some(lines))
            }
        }
    }
}
