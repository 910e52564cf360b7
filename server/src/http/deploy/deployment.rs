//! `GET /api/v1/deploy/deployment/ID`, which clients poll, and `GET /deploy/ID`, the page that activation links to, as plain text.

use std::fmt::Write as _;

use catalog::{DeploymentId, DeploymentRecord};
use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;
use warp::reply::Reply;

use crate::deploy::time;
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::router::{Activate, Request};

/// The reply, in the client's spelling (protocol reference 7.3).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deployment {
    id: Uuid,
    index: u64,
    created_on: String,
    started_on: Option<String>,
    finished_on: Option<String>,
    store_path: String,
    closure_size: Option<u64>,
    status: &'static str,
}

/// `GET /api/v1/deploy/deployment/ID`.
pub async fn status(request: Request<Activate, String>) -> Answer {
    let Request { state, grant: (workspace, _), path: id, .. } = request;
    let id: Uuid = id.parse().map_err(|_| unknown())?;
    let (_, record) = state.deploy.find_in(&workspace, DeploymentId(id)).await?.ok_or_else(unknown)?;
    let deployment = Deployment {
        id,
        index: record.number,
        created_on: time::format(record.created_at),
        started_on: record.started_at.map(time::format),
        finished_on: record.finished_at.map(time::format),
        store_path: record.store_path,
        closure_size: record.closure_size,
        status: record.status.as_str(),
    };
    Ok(warp::reply::json(&deployment).into_response())
}

/// Describes a deployment in plain text.
pub fn text(agent: &str, record: &DeploymentRecord) -> String {
    let mut text =
        format!("Deployment #{} of the agent {agent}: {}\n\n", record.number, record.status.as_str());
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<12}{value}");
        }
    };
    row("path", Some(record.store_path.clone()));
    row("created", Some(time::format(record.created_at)));
    row("started", record.started_at.map(time::format));
    row("finished", record.finished_at.map(time::format));
    row("closure", record.closure_size.map(|bytes| format!("{bytes} bytes")));
    text
}

/// 404 for a deployment.
pub fn unknown() -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, "there is no such deployment in this workspace")
}
