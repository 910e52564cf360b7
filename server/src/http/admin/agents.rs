//! `/v1/agents` and `/v1/workspaces`.

use std::collections::HashSet;
use std::sync::Arc;

use admin_api::{AgentInfo, WorkspaceInfo};
use catalog::{AgentRecord, CatalogError, DeploymentStatus, Fleet};
use warp::Filter;

use super::deployments::info;
use super::error::{internal, unknown_agent, unknown_workspace};
use super::{Answer, decoded, reply};
use crate::http::state::State;
use crate::http::{Route, any_of};

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let agents = {
        let state = state.clone();
        warp::path!("v1" / "agents").and(warp::get()).then(move || {
            let state = state.clone();
            reply(async move { list(&state).await })
        })
    };
    let agent = {
        let state = state.clone();
        warp::path!("v1" / "agents" / String).and(warp::get()).then(move |name: String| {
            let state = state.clone();
            reply(async move { one(&state, &decoded(&name)).await })
        })
    };
    let all = {
        let state = state.clone();
        warp::path!("v1" / "workspaces").and(warp::get()).then(move || {
            let state = state.clone();
            reply(async move { workspaces(&state).await })
        })
    };
    let state = state.clone();
    let workspace = warp::path!("v1" / "workspaces" / String).and(warp::get()).then(move |name: String| {
        let state = state.clone();
        reply(async move {
            let name = decoded(&name);
            let mut all = workspaces(&state).await?.into_iter();
            all.find(|workspace| workspace.name == name).ok_or_else(|| unknown_workspace(&name))
        })
    });
    any_of([agents.boxed(), agent.boxed(), all.boxed(), workspace.boxed()])
}

async fn list(state: &State) -> Answer<Vec<AgentInfo>> {
    let fleet = load(state).await?;
    let mut infos = Vec::with_capacity(fleet.agents.len());
    for agent in &fleet.agents {
        infos.push(agent_info(state, &fleet, agent).await.map_err(|error| internal(&error))?);
    }
    Ok(infos)
}

async fn one(state: &State, name: &str) -> Answer<AgentInfo> {
    let fleet = load(state).await?;
    let agent = fleet.agents.iter().find(|agent| agent.name == name).ok_or_else(|| unknown_agent(name))?;
    agent_info(state, &fleet, agent).await.map_err(|error| internal(&error))
}

async fn load(state: &State) -> Answer<Fleet> {
    state.catalog.fleet().await.map_err(|error| internal(&error))
}

async fn agent_info(state: &State, fleet: &Fleet, agent: &AgentRecord) -> Result<AgentInfo, CatalogError> {
    let newest = state.catalog.list_deployments(Some(agent.id), None, 1).await?;
    let succeeded = Some(DeploymentStatus::Succeeded);
    let running = state.catalog.list_deployments(Some(agent.id), succeeded, 1).await?;
    let present = state.deploy.online().find(agent.id);
    let said =
        |now: Option<String>, before: &Option<String>| now.or(before.clone()).filter(|text| !text.is_empty());
    let hello = present.as_ref().map(|present| present.hello.clone());
    let workspace = fleet.workspaces.iter().find(|workspace| workspace.id == agent.workspace);
    Ok(AgentInfo {
        id: agent.id.0.to_string(),
        name: agent.name.clone(),
        workspace: workspace.map(|workspace| workspace.name.clone()).unwrap_or_default(),
        declared: agent.enabled,
        online_since: present.map(|present| present.since.0),
        last_seen_at: agent.last_seen_at.map(|time| time.0),
        version: said(hello.as_ref().map(|hello| hello.version.clone()), &agent.version),
        system: said(hello.map(|hello| hello.system), &agent.system),
        running: running.first().map(|record| info(record, &agent.name)),
        newest: newest.first().map(|record| info(record, &agent.name)),
    })
}

async fn workspaces(state: &State) -> Answer<Vec<WorkspaceInfo>> {
    let open = state.catalog.open_deployments().await.map_err(|error| internal(&error))?;
    let busy: HashSet<_> = open.into_iter().map(|deployment| deployment.agent).collect();
    let fleet = state.deploy.fleet();
    let mut infos: Vec<_> = fleet
        .workspaces()
        .map(|workspace| {
            let agents: Vec<_> = fleet.agents().filter(|agent| agent.workspace.id == workspace.id).collect();
            let online = agents.iter().filter(|agent| state.deploy.online().find(agent.id).is_some()).count();
            let deploying = agents.iter().filter(|agent| busy.contains(&agent.id)).count();
            WorkspaceInfo {
                name: workspace.name.clone(),
                cache: workspace.cache.clone(),
                agents: agents.len() as u64,
                online: online as u64,
                deploying: deploying as u64,
            }
        })
        .collect();
    infos.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(infos)
}
