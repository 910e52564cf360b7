//! Deploy workspaces.

use std::collections::HashSet;

use admin_api::{ListWorkspaces, ShowWorkspace, WorkspaceInfo};

use super::Answer;
use super::error::{internal, unknown_workspace};
use crate::http::state::State;

pub(super) async fn list(state: &State, _: ListWorkspaces) -> Answer<Vec<WorkspaceInfo>> {
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

pub(super) async fn show(state: &State, request: ShowWorkspace) -> Answer<WorkspaceInfo> {
    let mut all = list(state, ListWorkspaces {}).await?.into_iter();
    let found = all.find(|workspace| workspace.name == request.workspace);
    found.ok_or_else(|| unknown_workspace(state, &request.workspace))
}
