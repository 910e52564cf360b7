//! Deployments: listed, activated, cancelled. Their logs are in `deployment_log`.

use std::collections::HashMap;
use std::sync::Arc;

use admin_api::{
    Activate, ApiError, CancelDeployment, DeploymentInfo, DeploymentStatus, ErrorCode, ListDeployments,
    Rollback, ShowDeployment, nearest,
};
use catalog::{DeploymentId, DeploymentRecord};
use uuid::Uuid;

use super::Answer;
use super::error::{failure, internal, unknown_agent, unknown_workspace};
use crate::core::Core;
use crate::deploy::activate::{ActivateError, Source, Specification};
use crate::deploy::operate::RollbackError;
use crate::deploy::{Agent, Workspace};
use crate::http::state::State;

/// The number of deployments that are listed by default.
const DEFAULT_LIMIT: u64 = 50;
/// The most deployments that are listed.
const MAX_LIMIT: u64 = 10_000;

pub(super) async fn list(state: &State, request: ListDeployments) -> Answer<Vec<DeploymentInfo>> {
    let names = agent_names(state).await?;
    let agent = match &request.agent {
        None => None,
        Some(name) => {
            let found = names.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
            Some(found.ok_or_else(|| unknown_agent(state, name))?)
        }
    };
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let records = state.catalog.list_deployments(agent, None, limit).await;
    let records = records.map_err(|error| internal(&error))?;
    Ok(records.iter().map(|record| info(record, name_of(&names, record))).collect())
}

pub(super) async fn show(state: &State, request: ShowDeployment) -> Answer<DeploymentInfo> {
    let (record, name) = find(state, &request.deployment).await?;
    Ok(info(&record, &name))
}

pub(super) async fn cancel(state: &State, request: CancelDeployment) -> Answer<DeploymentInfo> {
    let (record, name) = find(state, &request.deployment).await?;
    let cancelled = state.deploy.cancel(record.id).await.map_err(|error| internal(&error))?;
    let (record, changed) = cancelled.unwrap_or((record, false));
    if !changed {
        let message = format!("{name}#{} has ended: {}", record.number, record.status.as_str());
        return Err(failure(ErrorCode::Conflict, message, None));
    }
    tracing::info!(deployment = %record.id.0, "cancelled a deployment");
    Ok(info(&record, &name))
}

pub(super) async fn activate(state: &State, request: Activate) -> Answer<Vec<DeploymentInfo>> {
    let workspace = workspace(state, request.workspace.as_deref())?;
    let cache = state.caches().find(&workspace.cache);
    let source = cache.as_ref().map(|cache| Source { cache, federation: &state.federation });
    let specification =
        Specification { agents: request.agents, rollback_script: Some(request.rollback_scripts) };
    let activated = state.deploy.activate(&workspace, source, specification, request.allow_missing).await;
    let activated = activated.map_err(|error| refusal(state, &error))?;
    Ok(activated.iter().map(|(agent, record)| info(record, &agent.name)).collect())
}

pub(super) async fn roll_back(state: &State, request: Rollback) -> Answer<DeploymentInfo> {
    let name = request.agent;
    let agent: Arc<Agent> =
        state.deploy.fleet().agent(&name).cloned().ok_or_else(|| unknown_agent(state, &name))?;
    let cache = state.caches().find(&agent.workspace.cache);
    let source = cache.as_ref().map(|cache| Source { cache, federation: &state.federation });
    match state.deploy.rollback(&agent, source).await {
        Ok(record) => Ok(info(&record, &name)),
        Err(RollbackError::Activate(error)) => Err(refusal(state, &error)),
        Err(error) => Err(failure(ErrorCode::Conflict, error.to_string(), None)),
    }
}

/// Returns the workspace of this name, or the only one.
fn workspace(state: &State, name: Option<&str>) -> Answer<Arc<Workspace>> {
    let fleet = state.deploy.fleet();
    if let Some(name) = name {
        return fleet.workspace(name).cloned().ok_or_else(|| unknown_workspace(state, name));
    }
    let mut all = fleet.workspaces();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err(failure(ErrorCode::NotFound, "the config names no workspace", None)),
        _ => {
            let hint = Some("pass --workspace NAME; `cachectl workspace list` shows the names");
            Err(failure(ErrorCode::Invalid, "there are several workspaces", hint))
        }
    }
}

fn refusal(state: &State, error: &ActivateError) -> ApiError {
    match error {
        ActivateError::Catalog(error) => internal(error),
        ActivateError::Missing { .. } => {
            let hint = Some("pass --allow-missing if the agents can fetch it elsewhere");
            failure(ErrorCode::Invalid, error.to_string(), hint)
        }
        ActivateError::UnknownAgents { agents, .. } => {
            let fleet = state.deploy.fleet();
            let known = || fleet.agents().map(|agent| agent.name.as_str());
            let hint = match agents.iter().find_map(|name| nearest(name, known())) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`cachectl agent list` shows the agents; the config declares them".to_owned(),
            };
            failure(ErrorCode::Invalid, error.to_string(), Some(&hint))
        }
        _ => failure(ErrorCode::Invalid, error.to_string(), None),
    }
}

/// Returns the deployment that `which` names, by its id, as `AGENT#NUMBER`, or as `AGENT` for the newest of that agent;
/// and the name of its agent.
pub(super) async fn find(core: &Core, which: &str) -> Answer<(DeploymentRecord, String)> {
    let names = agent_names(core).await?;
    let found = match which.parse::<Uuid>() {
        Ok(id) => core.catalog.find_deployment(DeploymentId(id)).await.map_err(|error| internal(&error))?,
        Err(_) => {
            let (name, number) = match which.rsplit_once('#') {
                Some((name, number)) => (name, Some(number)),
                None => (which, None),
            };
            let agent = names.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
            let agent = agent.ok_or_else(|| unknown_agent(core, name))?;
            let found = match number.map(str::parse::<u64>) {
                None => core
                    .catalog
                    .list_deployments(Some(agent), None, 1)
                    .await
                    .map(|list| list.into_iter().next()),
                Some(Ok(number)) => core.catalog.find_deployment_of(agent, number).await,
                Some(Err(_)) => Ok(None),
            };
            found.map_err(|error| internal(&error))?
        }
    };
    let record = found.ok_or_else(|| {
        let hint = Some("`cachectl deploy list` shows the deployments");
        let message = match names.values().any(|name| name == which) {
            true => format!("agent `{which}` has no deployment yet"),
            false => format!("there is no deployment `{which}`"),
        };
        failure(ErrorCode::NotFound, message, hint)
    })?;
    let name = name_of(&names, &record).to_owned();
    Ok((record, name))
}

async fn agent_names(core: &Core) -> Answer<HashMap<catalog::AgentId, String>> {
    let fleet = core.catalog.fleet().await.map_err(|error| internal(&error))?;
    Ok(fleet.agents.into_iter().map(|agent| (agent.id, agent.name)).collect())
}

fn name_of<'n>(names: &'n HashMap<catalog::AgentId, String>, record: &DeploymentRecord) -> &'n str {
    // Every deployment has its agent.
    names.get(&record.agent).map_or("", String::as_str)
}

/// A deployment, as the API shows it.
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
