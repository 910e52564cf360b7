//! Deploy agents.

use admin_api::{AgentInfo, ListAgents, ShowAgent};
use catalog::{AgentRecord, CatalogError, DeploymentStatus, Fleet};

use super::Answer;
use super::deployments::info;
use super::error::{internal, unknown_agent};
use crate::http::state::State;

pub(super) async fn list(state: &State, _: ListAgents) -> Answer<Vec<AgentInfo>> {
    let fleet = load(state).await?;
    let mut infos = Vec::with_capacity(fleet.agents.len());
    for agent in &fleet.agents {
        infos.push(agent_info(state, &fleet, agent).await.map_err(|error| internal(&error))?);
    }
    Ok(infos)
}

pub(super) async fn show(state: &State, request: ShowAgent) -> Answer<AgentInfo> {
    let fleet = load(state).await?;
    let agent = fleet.agents.iter().find(|agent| agent.name == request.agent);
    let agent = agent.ok_or_else(|| unknown_agent(state, &request.agent))?;
    agent_info(state, &fleet, agent).await.map_err(|error| internal(&error))
}

async fn load(state: &State) -> Answer<Fleet> {
    state.catalog.fleet().await.map_err(|error| internal(&error))
}

pub(in crate::http) async fn agent_info(
    state: &State,
    fleet: &Fleet,
    agent: &AgentRecord,
) -> Result<AgentInfo, CatalogError> {
    let newest = state.catalog.list_deployments(Some(agent.id), None, 1).await?;
    let succeeded = Some(DeploymentStatus::Succeeded);
    let running = state.catalog.list_deployments(Some(agent.id), succeeded, 1).await?;
    let session = state.deploy.online().find(agent.id);
    // An agent that is online knows better than the catalog.
    let reported =
        |now: Option<String>, before: &Option<String>| now.or(before.clone()).filter(|text| !text.is_empty());
    let hello = session.as_ref().map(|session| session.hello.clone());
    let workspace = fleet.workspaces.iter().find(|workspace| workspace.id == agent.workspace);
    Ok(AgentInfo {
        id: agent.id.0.to_string(),
        name: agent.name.clone(),
        workspace: workspace.map(|workspace| workspace.name.clone()).unwrap_or_default(),
        declared: agent.enabled,
        online_since: session.map(|session| session.since.0),
        last_seen_at: agent.last_seen_at.map(|time| time.0),
        version: reported(hello.as_ref().map(|hello| hello.version.clone()), &agent.version),
        system: reported(hello.map(|hello| hello.system), &agent.system),
        running: running.first().map(|record| info(record, &agent.name)),
        newest: newest.first().map(|record| info(record, &agent.name)),
    })
}
