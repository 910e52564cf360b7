//! `/v1/deployments`.

use std::collections::HashMap;
use std::sync::Arc;

use admin_api::{Activate, ApiError, DeploymentInfo, DeploymentStatus, ErrorCode, ListDeployments, Rollback};
use catalog::{DeploymentId, DeploymentRecord};
use uuid::Uuid;
use warp::Filter;

use super::error::{failure, internal, unknown_agent, unknown_workspace};
use super::{Answer, body, decoded, raw_query, reply};
use crate::deploy::activate::{ActivateError, Source, Specification};
use crate::deploy::operate::RollbackError;
use crate::deploy::{Agent, Workspace};
use crate::http::state::State;
use crate::http::{Route, any_of};

/// How many deployments are listed where nothing else is asked for.
const LISTED: u64 = 50;
/// Most deployments that are listed.
const MOST_LISTED: u64 = 10_000;

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    any_of([
        list(state.clone()).boxed(),
        activate(state.clone()).boxed(),
        rollback(state.clone()).boxed(),
        show(state.clone()).boxed(),
        cancel(state.clone()).boxed(),
        super::deployment_log::routes(state).boxed(),
    ])
}

fn list(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "deployments").and(warp::get()).and(raw_query()).then(move |query: String| {
        let state = state.clone();
        reply(async move {
            let wanted: ListDeployments = body::query(&query)?;
            let names = agent_names(&state).await?;
            let agent = match &wanted.agent {
                None => None,
                Some(name) => {
                    let found = names.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
                    Some(found.ok_or_else(|| unknown_agent(name))?)
                }
            };
            let limit = wanted.limit.unwrap_or(LISTED).min(MOST_LISTED);
            let records = state.catalog.list_deployments(agent, None, limit).await;
            let records = records.map_err(|error| internal(&error))?;
            Ok(records.iter().map(|record| info(record, name_of(&names, record))).collect::<Vec<_>>())
        })
    })
}

fn show(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "deployments" / String).and(warp::get()).then(move |which: String| {
        let state = state.clone();
        reply(async move { find(&state, &which).await.map(|(record, name)| info(&record, &name)) })
    })
}

fn cancel(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "deployments" / String / "cancel").and(warp::post()).then(move |which: String| {
        let state = state.clone();
        reply(async move {
            let (record, name) = find(&state, &which).await?;
            let cancelled = state.deploy.cancel(record.id).await.map_err(|error| internal(&error))?;
            let (record, changed) = cancelled.unwrap_or((record, false));
            if !changed {
                let message = format!("{name}#{} has ended: {}", record.number, record.status.as_str());
                return Err(failure(ErrorCode::Conflict, message, None));
            }
            tracing::info!(deployment = %record.id.0, "deployment cancelled");
            Ok(info(&record, &name))
        })
    })
}

fn activate(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "deployments").and(warp::post()).and(warp::body::stream()).then(move |stream| {
        let state = state.clone();
        reply(async move {
            let request: Activate = body::json(stream).await?;
            let workspace = workspace(&state, request.workspace.as_deref())?;
            let cache = state.caches().find(&workspace.cache);
            let source = cache.as_ref().map(|cache| Source { cache, federation: &state.federation });
            let specification =
                Specification { agents: request.agents, rollback_script: Some(request.rollback_scripts) };
            let done = state
                .deploy
                .activate(&workspace, source, specification, request.allow_missing)
                .await
                .map_err(|error| refused(&error))?;
            Ok(done.iter().map(|(agent, record)| info(record, &agent.name)).collect::<Vec<_>>())
        })
    })
}

fn rollback(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "deployments" / "rollback").and(warp::post()).and(warp::body::stream()).then(
        move |stream| {
            let state = state.clone();
            reply(async move {
                let Rollback { agent: name } = body::json(stream).await?;
                let agent: Arc<Agent> =
                    state.deploy.fleet().agent(&name).cloned().ok_or_else(|| unknown_agent(&name))?;
                let cache = state.caches().find(&agent.workspace.cache);
                let source = cache.as_ref().map(|cache| Source { cache, federation: &state.federation });
                match state.deploy.rollback(&agent, source).await {
                    Ok(record) => Ok(info(&record, &name)),
                    Err(RollbackError::Activate(error)) => Err(refused(&error)),
                    Err(error) => Err(failure(ErrorCode::Conflict, error.to_string(), None)),
                }
            })
        },
    )
}

/// The workspace of this name, or the only one.
fn workspace(state: &State, name: Option<&str>) -> Answer<Arc<Workspace>> {
    let fleet = state.deploy.fleet();
    if let Some(name) = name {
        return fleet.workspace(name).cloned().ok_or_else(|| unknown_workspace(name));
    }
    let mut all = fleet.workspaces();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err(failure(ErrorCode::NotFound, "the config names no workspace", None)),
        _ => {
            let hint = Some("use --workspace NAME; `cachectl workspace list` shows them");
            Err(failure(ErrorCode::Invalid, "there are several workspaces", hint))
        }
    }
}

fn refused(error: &ActivateError) -> ApiError {
    match error {
        ActivateError::Catalog(error) => internal(error),
        ActivateError::Missing { .. } => {
            let hint = Some("push it, or use --allow-missing if the agents find it elsewhere");
            failure(ErrorCode::Invalid, error.to_string(), hint)
        }
        _ => failure(ErrorCode::Invalid, error.to_string(), None),
    }
}

/// A deployment by a segment of a path: its id, as `AGENT#NUMBER`, or as the newest one of `AGENT`; with the name of its agent.
pub(super) async fn find(state: &State, which: &str) -> Answer<(DeploymentRecord, String)> {
    let which = decoded(which);
    let which = which.as_str();
    let names = agent_names(state).await?;
    let found = match which.parse::<Uuid>() {
        Ok(id) => state.catalog.find_deployment(DeploymentId(id)).await.map_err(|error| internal(&error))?,
        Err(_) => {
            let (name, number) = match which.rsplit_once('#') {
                Some((name, number)) => (name, Some(number)),
                None => (which, None),
            };
            let agent = names.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
            let agent = agent.ok_or_else(|| unknown_agent(name))?;
            let found = match number.map(str::parse::<u64>) {
                None => state
                    .catalog
                    .list_deployments(Some(agent), None, 1)
                    .await
                    .map(|list| list.into_iter().next()),
                Some(Ok(number)) => state.catalog.find_deployment_of(agent, number).await,
                Some(Err(_)) => Ok(None),
            };
            found.map_err(|error| internal(&error))?
        }
    };
    let record = found.ok_or_else(|| {
        let hint = Some("`cachectl deploy list` shows them");
        failure(ErrorCode::NotFound, format!("there is no deployment {which}"), hint)
    })?;
    let name = name_of(&names, &record).to_owned();
    Ok((record, name))
}

async fn agent_names(state: &State) -> Answer<HashMap<catalog::AgentId, String>> {
    let fleet = state.catalog.fleet().await.map_err(|error| internal(&error))?;
    Ok(fleet.agents.into_iter().map(|agent| (agent.id, agent.name)).collect())
}

fn name_of<'n>(names: &'n HashMap<catalog::AgentId, String>, record: &DeploymentRecord) -> &'n str {
    // Every deployment has its agent.
    names.get(&record.agent).map_or("", String::as_str)
}

/// A deployment, as `cachectl` sees it.
pub(super) fn info(record: &DeploymentRecord, agent: &str) -> DeploymentInfo {
    use catalog::DeploymentStatus as Known;
    DeploymentInfo {
        id: record.id.0.to_string(),
        agent: agent.to_owned(),
        number: record.number,
        store_path: record.store_path.clone(),
        rollback_scripts: record.rollback_scripts.clone(),
        status: match record.status {
            Known::Pending => DeploymentStatus::Pending,
            Known::InProgress => DeploymentStatus::InProgress,
            Known::Cancelled => DeploymentStatus::Cancelled,
            Known::Failed => DeploymentStatus::Failed,
            Known::Succeeded => DeploymentStatus::Succeeded,
        },
        created_at: record.created_at.0,
        delivered_at: record.delivered_at.map(|time| time.0),
        started_at: record.started_at.map(|time| time.0),
        finished_at: record.finished_at.map(|time| time.0),
        closure_bytes: record.closure_size,
        log_lines: record.log_lines,
        log_truncated: record.log_truncated,
    }
}
