//! `GET /deployments/WORKSPACE/AGENT`: an agent, and everything that it was asked to run.

use catalog::{DeploymentRecord, UnixTime};
use http::StatusCode;
use maud::{Markup, html};
use nix_formats::StorePath;
use serde::Deserialize;

use super::status::status;
use super::workspaces::{agents_of, find, runs};
use crate::http::error::HttpError;
use crate::http::router::{Request, View};
use crate::http::web::Visit;
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, badge, crumbs, lasting, pager};
use crate::http::web::text::{encode, visible};
use crate::http::{Answer, admin};

/// Deployments on one page.
const ON_PAGE: usize = 50;

#[derive(Deserialize)]
struct Query {
    before: Option<u64>,
}

/// `GET /deployments/WORKSPACE/AGENT`.
pub async fn show(request: Request<View, (String, String)>) -> Answer {
    let Request { state, grant: visit, path: (workspace, name), head, .. } = request;
    let Query { before } = head.query()?;
    let workspace = find(&state, &visit, &workspace)?;
    let name = percent_encoding::percent_decode_str(&name).decode_utf8_lossy();
    let fleet = state.catalog.unhurried().fleet().await?;
    let agent = agents_of(&fleet, workspace.id).into_iter().find(|agent| agent.name == *name);
    let unknown = || HttpError::new(StatusCode::NOT_FOUND, "The workspace has no such agent.");
    let agent = agent.ok_or_else(unknown)?;
    let info = admin::agent_info(&state, &fleet, agent).await?;
    let mut history =
        state.catalog.unhurried().deployments_before(agent.id, before, ON_PAGE as u64 + 1).await?;
    let has_more = history.len() > ON_PAGE;
    history.truncate(ON_PAGE);
    let group = visit.to(&format!("deployments/{}", encode(&workspace.name)));
    let own = format!("{group}/{}", encode(&agent.name));
    let next = history.last().filter(|_| has_more).map(|last| format!("{own}?before={}", last.number));
    let body = html! {
        (crumbs(&[(visit.to("deployments"), "Deployments".to_owned()), (group, workspace.name.clone())]))
        h1 {
            (visible(&agent.name)) " "
            @if info.online_since.is_some() { (badge("good", "online")) } @else { (badge("", "offline")) }
        }
        dl.facts {
            dt { "Runs" }
            dd {
                @match &info.running {
                    Some(running) => {
                        (runs(running)) " "
                        a href=(visit.to(&format!("deploy/{}", running.id))) { "#" (running.number) }
                        @if let Some(at) = running.finished_at { ", since " (ago(UnixTime(at))) }
                    }
                    None => "not known",
                }
            }
            @match (info.online_since, info.last_seen_at) {
                (Some(at), _) => { dt { "Connected" } dd { (ago(UnixTime(at))) } }
                (None, Some(at)) => { dt { "Last seen" } dd { (ago(UnixTime(at))) } }
                (None, None) => { dt { "Last seen" } dd { "never" } }
            }
            @if let Some(system) = &info.system { dt { "System" } dd { (visible(system)) } }
            @if let Some(version) = &info.version { dt { "Version of cachix" } dd { (visible(version)) } }
        }
        h2 { "History" }
        @if history.is_empty() { p.soft { "Nothing was deployed to it yet." } } @else { (table(&visit, &history)) }
        (pager(before.is_some().then(|| own.clone()), next))
    };
    Ok(visit.reply(Page::new(&agent.name, body).of(Part::Deployments)))
}

fn table(visit: &Visit, history: &[DeploymentRecord]) -> Markup {
    html! {
        table {
            thead { tr { th { "Deployment" } th { "Path" } th.wide { "Took" } th.number { "Activated" } } }
            tbody {
                @for record in history {
                    tr {
                        td.tight {
                            a href=(visit.to(&format!("deploy/{}", record.id.0))) { "#" (record.number) } " " (status(record.status))
                        }
                        td {
                            span title=(visible(&record.store_path)) {
                                @match StorePath::from_full_path(&record.store_path) {
                                    Ok(path) => (path.name()),
                                    Err(_) => (visible(&record.store_path)),
                                }
                            }
                        }
                        td.wide {
                            @if let (Some(from), Some(to)) = (record.started_at, record.finished_at) { (lasting(from, to)) }
                        }
                        td.number { (ago(record.created_at)) }
                    }
                }
            }
        }
    }
}
