//! `GET /deploy/ID`: one deployment with its log, which grows while one looks at it. Browsers get a page, all others plain text.
//!
//! Nobody guesses an id, and people who have it know what was activated, so its state takes no token. Its log does: machines say in
//! their logs what is nobody else's business.

use std::sync::Arc;

use catalog::{DeploymentId, DeploymentRecord, NumberedLine};
use http::HeaderValue;
use http::header::VARY;
use maud::{Markup, html};
use nix_formats::StorePath;
use uuid::Uuid;
use warp::reply::Reply;

use super::status::status;
use crate::cache::Cache;
use crate::deploy::{Agent, time};
use crate::http::Answer;
use crate::http::deploy::deployment::{text, unknown};
use crate::http::router::{Nothing, Request};
use crate::http::state::State;
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, crumbs, lasting};
use crate::http::web::text::{count, encode, length_in_html, size, visible};
use crate::http::web::visit::wants_html;
use crate::http::web::{Surroundings, Visit};

/// The most lines of the log on the page.
const LINES: u64 = 300;
/// The most bytes of the log on the page.
const BYTES: usize = 28 << 10;
/// Bytes that a line takes besides its text.
const BESIDE: usize = 40;
/// Characters of one line.
const LINE: usize = 2000;
/// Seconds until the page looks again at what became of the deployment.
const LOOK: u32 = 3;

/// `GET /deploy/ID`.
pub async fn get(request: Request<Nothing, Uuid>) -> Answer {
    let Request { state, path: id, head, .. } = request;
    let id = DeploymentId(id);
    if !state.config().server.web_pages || !wants_html(&head.headers) {
        let record = state.catalog.unhurried().find_deployment(id).await?.ok_or_else(unknown)?;
        let fleet = state.deploy.fleet();
        let agent =
            fleet.agent_by_id(record.agent).map_or("(no longer declared)", |agent| agent.name.as_str());
        let mut response = text(agent, &record).into_response();
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
        return Ok(response);
    }
    let at = Surroundings::of(&state, &head);
    let answer = async {
        let _turn = crate::http::web::turn(head.client).await?;
        let visit = Visit::of(&state, &head).await?;
        let record = state.catalog.unhurried().find_deployment(id).await?.ok_or_else(unknown)?;
        page(&state, &visit, &record).await
    };
    Ok(at.finish(answer.await))
}

async fn page(state: &State, visit: &Visit, record: &DeploymentRecord) -> Answer {
    let agent = state.deploy.fleet().agent_by_id(record.agent).cloned();
    let may_watch = agent
        .as_ref()
        .map_or(visit.viewer.is_operator(), |agent| visit.viewer.may_watch(state, &agent.workspace));
    let has_ended = record.status.is_final();
    let name = agent.as_ref().map_or("an agent that is no longer declared", |agent| agent.name.as_str());
    let log = if may_watch { Some(end_of_log(state, record).await?) } else { None };
    let body = html! {
        @if let Some(agent) = agent.as_ref().filter(|_| may_watch) { (way(visit, agent)) }
        h1 { "Deployment #" (record.number) " of " (visible(name)) }
        (facts(state, visit, record, agent.as_deref()))
        h2 { "Log" }
        @match log {
            Some(log) => (log_of(visit, record, &log)),
            None => p {
                "The log is for those who have a token for the workspace. "
                a href=(format!("{}?next={}", visit.to("login"), encode(&visit.at.here))) { "Log in" }
            },
        }
    };
    let page = Page::new(&format!("Deployment #{} of {name}", record.number), body).of(Part::Deployments);
    Ok(visit.reply(page.reloaded((!has_ended).then_some(LOOK))))
}

fn way(visit: &Visit, agent: &Agent) -> Markup {
    let group = visit.to(&format!("deployments/{}", encode(&agent.workspace.name)));
    let own = format!("{group}/{}", encode(&agent.name));
    crumbs(&[
        (visit.to("deployments"), "Deployments".to_owned()),
        (group, agent.workspace.name.clone()),
        (own, agent.name.clone()),
    ])
}

/// What is known of a deployment. This part of the page is asked for again until the deployment has ended.
fn facts(state: &State, visit: &Visit, record: &DeploymentRecord, agent: Option<&Agent>) -> Markup {
    let live = (!record.status.is_final()).then_some(LOOK);
    let cache = agent.and_then(|agent| state.find_cache(&agent.workspace.cache));
    html! {
        dl.facts #state data-live=[live] aria-live="polite" {
            dt { "State" } dd { (status(record.status)) }
            dt { "Path" } dd { (path(state, visit, cache.as_ref(), &record.store_path)) }
            dt { "Activated" } dd { (ago(record.created_at)) }
            @if let Some(at) = record.started_at { dt { "Started" } dd { (ago(at)) } }
            @if let Some(at) = record.finished_at {
                dt { "Ended" }
                dd { (ago(at)) @if let Some(from) = record.started_at { ", after " (lasting(from, at)) } }
            }
            @if let Some(bytes) = record.closure_size { dt { "Closure" } dd { (size(bytes)) } }
        }
    }
}

/// The path of a deployment, as a link if the viewer may see it in its cache.
fn path(state: &State, visit: &Visit, cache: Option<&Arc<Cache>>, full: &str) -> Markup {
    let path = StorePath::from_full_path(full).ok();
    let seen = cache
        .zip(path.as_ref())
        .filter(|(cache, path)| visit.viewer.may_read(state, cache) && cache.index.may_hold(path.hash()));
    html! {
        @match seen {
            Some((cache, path)) => {
                a href=(visit.to(&format!("cache/{}/path/{}", cache.name(), path.hash()))) { code { (visible(full)) } }
            }
            None => code { (visible(full)) },
        }
    }
}

/// The last lines of a log, as many as fit into a page.
async fn end_of_log(
    state: &State,
    record: &DeploymentRecord,
) -> Result<Vec<NumberedLine>, catalog::CatalogError> {
    let after = record.log_lines.saturating_sub(LINES);
    let mut lines = state.catalog.unhurried().read_log(record.id, after, LINES).await?;
    let mut bytes = 0;
    let fitting = lines.iter().rev().take_while(|line| {
        bytes += length_in_html(&shown(&line.line)) + BESIDE;
        bytes <= BYTES
    });
    let fitting = fitting.count();
    Ok(lines.split_off(lines.len() - fitting))
}

fn log_of(visit: &Visit, record: &DeploymentRecord, lines: &[NumberedLine]) -> Markup {
    let own = format!("deploy/{}", record.id.0);
    let after = lines.last().map_or(record.log_lines, |line| line.number);
    let events = (!record.status.is_final()).then(|| visit.to(&format!("{own}/events?after={after}")));
    let left_out = record.log_lines.saturating_sub(lines.len() as u64);
    html! {
        @if left_out > 0 { p.soft { (count(left_out, "earlier line is", "earlier lines are")) " not shown here." } }
        pre.log #log tabindex="0" role="log" data-events=[events] {
            @for line in lines { span { i { (clock(&line.time)) } " " (shown(&line.line)) "\n" } }
        }
        p.pages { a href=(visit.to(&format!("{own}/log"))) { "The whole log as plain text" } }
    }
}

/// A line of a log, as pages show it.
pub(super) fn shown(line: &str) -> String {
    let mut text = visible(line);
    if let Some((end, _)) = text.char_indices().nth(LINE) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The time of day of a line; its date is that of the deployment.
pub(super) fn clock(at: &str) -> &str {
    if time::parse(at).is_some() { at.get(11..19).unwrap_or_default() } else { "" }
}
