//! `GET /deployments`: the workspaces that the viewer may see, and `GET /deployments/WORKSPACE`: the agents of one.

use std::collections::HashSet;
use std::sync::Arc;

use admin_api::{AgentInfo, DeploymentInfo};
use catalog::{AgentRecord, DeploymentStatus, Fleet, UnixTime, WorkspaceId};
use http::StatusCode;
use maud::{Markup, html};
use nix_formats::StorePath;
use serde::Deserialize;

use super::status::status;
use crate::deploy::Workspace;
use crate::http::error::HttpError;
use crate::http::router::{Request, View};
use crate::http::state::State;
use crate::http::web::Visit;
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, badge, crumbs, pager};
use crate::http::web::text::{count, encode, visible};
use crate::http::{Answer, admin};

/// Agents on one page.
const ON_PAGE: usize = 50;
/// Workspaces on one page.
const WORKSPACES: usize = 100;

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    from: usize,
}

/// `GET /deployments`.
pub async fn list(request: Request<View>) -> Answer {
    let Request { state, grant: visit, head, .. } = request;
    let Query { from } = head.query()?;
    if !visit.viewer.watches_any(&state) && !visit.viewer.is_operator() {
        return Err(not_permitted());
    }
    let fleet = state.deploy.fleet();
    let mut workspaces: Vec<&Arc<Workspace>> =
        fleet.workspaces().filter(|workspace| visit.viewer.may_watch(&state, workspace)).collect();
    workspaces.sort_by(|one, other| one.name.cmp(&other.name));
    let busy: HashSet<_> = state
        .catalog
        .unhurried()
        .open_deployments()
        .await?
        .into_iter()
        .map(|deployment| deployment.agent)
        .collect();
    let rows: Vec<Row> = workspaces
        .iter()
        .skip(from)
        .take(WORKSPACES)
        .map(|workspace| {
            let agents: Vec<_> = fleet
                .agents()
                .filter(|agent| agent.workspace.id == workspace.id)
                .map(|agent| agent.id)
                .collect();
            Row {
                name: &workspace.name,
                cache: &workspace.cache,
                agents: agents.len() as u64,
                online: agents.iter().filter(|agent| state.deploy.online().find(**agent).is_some()).count()
                    as u64,
                deploying: agents.iter().filter(|agent| busy.contains(*agent)).count() as u64,
            }
        })
        .collect();
    let own = visit.to("deployments");
    let next = from.saturating_add(WORKSPACES);
    let body = html! {
        h1 { "Deployments" }
        p.lead { "A workspace is a group of machines that run what is activated for them." }
        @if rows.is_empty() { p { "The configuration names no workspace." } } @else { (table(&own, &rows)) }
        (pager((from > 0).then(|| own.clone()), (workspaces.len() > next).then(|| format!("{own}?from={next}"))))
    };
    Ok(visit.reply(Page::new("Deployments", body).of(Part::Deployments)))
}

struct Row<'a> {
    name: &'a str,
    cache: &'a str,
    agents: u64,
    online: u64,
    deploying: u64,
}

fn table(own: &str, rows: &[Row<'_>]) -> Markup {
    html! {
        table {
            thead { tr { th { "Workspace" } th.wide { "Fetches from" } th.number { "Agents" } th.number { "Online" } th.number.wide { "Deploying" } } }
            tbody {
                @for row in rows {
                    tr {
                        td { a href=(format!("{own}/{}", encode(row.name))) { (visible(row.name)) } }
                        td.wide { (visible(row.cache)) }
                        td.number { (row.agents) }
                        td.number { (row.online) }
                        td.number.wide { (row.deploying) }
                    }
                }
            }
        }
    }
}

/// `GET /deployments/WORKSPACE`.
pub async fn show(request: Request<View, String>) -> Answer {
    let Request { state, grant: visit, path: name, head, .. } = request;
    let Query { from } = head.query()?;
    let workspace = find(&state, &visit, &name)?;
    let fleet = state.catalog.unhurried().fleet().await?;
    let mut agents = agents_of(&fleet, workspace.id);
    agents.sort_by(|one, other| one.name.cmp(&other.name));
    let mut infos = Vec::new();
    for agent in agents.iter().skip(from).take(ON_PAGE) {
        infos.push(admin::agent_info(&state, &fleet, agent).await?);
    }
    let own = visit.to(&format!("deployments/{}", encode(&workspace.name)));
    let next = from.saturating_add(ON_PAGE);
    let body = html! {
        (crumbs(&[(visit.to("deployments"), "Deployments".to_owned())]))
        h1 { (visible(&workspace.name)) }
        p.lead { (count(agents.len() as u64, "agent", "agents")) ", fetching from the cache " (visible(&workspace.cache)) "." }
        div #agents data-live="10" {
            @if infos.is_empty() { p { "The workspace has no agents." } } @else { (agent_table(&visit, &own, &infos)) }
        }
        (pager((from > 0).then(|| own.clone()), (agents.len() > next).then(|| format!("{own}?from={next}"))))
    };
    Ok(visit.reply(Page::new(&workspace.name, body).of(Part::Deployments).reloaded(Some(30))))
}

/// Finds a workspace that the viewer may see. One that the viewer may not see is answered like one that does not exist.
pub(super) fn find(state: &State, visit: &Visit, name: &str) -> Result<Arc<Workspace>, HttpError> {
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    let workspace = state.deploy.fleet().workspace(&name).cloned();
    let workspace = workspace.filter(|workspace| visit.viewer.may_watch(state, workspace));
    workspace.ok_or_else(|| {
        let message = "There is no such workspace here, or your token is for another one.";
        HttpError::new(StatusCode::NOT_FOUND, message)
    })
}

/// 401 for those whose token is for no workspace.
pub(super) fn not_permitted() -> HttpError {
    let message = "Deployments are for those who have a token for a workspace: one that may activate, that of an agent, or an operator's.";
    HttpError::new(StatusCode::UNAUTHORIZED, message)
}

pub(super) fn agents_of(fleet: &Fleet, workspace: WorkspaceId) -> Vec<&AgentRecord> {
    fleet.agents.iter().filter(|agent| agent.workspace == workspace && agent.enabled).collect()
}

fn agent_table(visit: &Visit, own: &str, agents: &[AgentInfo]) -> Markup {
    html! {
        table {
            thead { tr { th { "Agent" } th { "Runs" } th.wide { "Since" } th { "Last deployment" } } }
            tbody {
                @for agent in agents {
                    tr {
                        td {
                            a href=(format!("{own}/{}", encode(&agent.name))) { (visible(&agent.name)) } " "
                            @if agent.online_since.is_some() { (badge("good", "online")) } @else { (badge("", "offline")) }
                        }
                        td { @match &agent.running { Some(running) => (runs(running)), None => span.soft { "not known" } } }
                        td.wide {
                            @if let Some(at) = agent.running.as_ref().and_then(|running| running.finished_at) { (ago(UnixTime(at))) }
                        }
                        td {
                            @if let Some(newest) = &agent.newest {
                                a href=(visit.to(&format!("deploy/{}", newest.id))) { "#" (newest.number) } " " (status(known(newest)))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What an agent runs, by name.
pub(super) fn runs(deployment: &DeploymentInfo) -> Markup {
    let path = StorePath::from_full_path(&deployment.store_path);
    html! {
        span title=(visible(&deployment.store_path)) {
            @match path { Ok(path) => (path.name()), Err(_) => (visible(&deployment.store_path)) }
        }
    }
}

/// The state of a deployment, as the catalog names it.
fn known(deployment: &DeploymentInfo) -> DeploymentStatus {
    use admin_api::DeploymentStatus as Shown;
    match deployment.status {
        Shown::Pending => DeploymentStatus::Pending,
        Shown::InProgress => DeploymentStatus::InProgress,
        Shown::Cancelled => DeploymentStatus::Cancelled,
        Shown::Failed => DeploymentStatus::Failed,
        Shown::Succeeded => DeploymentStatus::Succeeded,
    }
}
