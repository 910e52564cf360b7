//! `GET /`: what this server is, and the caches that the visitor may read. Browsers get a page, all others plain text.

use std::fmt::Write;
use std::sync::Arc;

use http::HeaderValue;
use http::header::VARY;
use maud::{Markup, html};
use serde::Deserialize;
use warp::reply::{Reply, Response};

use super::cache::figures::{Figures, figures_of};
use super::layout::{Page, Part};
use super::parts::{ago, badge, pager};
use super::setup::{Addresses, tabs};
use super::text::{count, size};
use super::visit::{Surroundings, Visit, wants_html};
use crate::cache::Cache;
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::router::{Head, Nothing, Request, Root};
use crate::http::state::State;

/// Caches on one page.
const ON_PAGE: usize = 30;
/// The most caches on a page whose instructions stand there; with more, they are on the page of each cache.
const WITH_INSTRUCTIONS: usize = 4;

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    from: usize,
}

/// `GET /`.
pub async fn get(request: Request<Nothing>) -> Answer {
    let Request { state, head, .. } = request;
    if !state.config().server.web_pages || !wants_html(&head.headers) {
        let mut response = text(&state, &head)?.into_response();
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
        return Ok(response);
    }
    let at = Surroundings::of(&state, &head);
    let answer = async {
        let _turn = super::turn(head.client).await?;
        let visit = Visit::of(&state, &head).await?;
        let host = head.host()?;
        // The host name or the port of a cache leads to its own page.
        if let Some(cache) = head.root.find_cache(&state, host)
            && visit.viewer.may_read(&state, &cache)
        {
            return super::cache::overview::page(&state, &visit, &cache, host).await;
        }
        if is_private_port(&state, &head)? {
            return Ok(private_port(&visit));
        }
        let Query { from } = head.query()?;
        page(&state, &visit, host, from).await
    };
    Ok(at.finish(answer.await))
}

async fn page(state: &State, visit: &Visit, host: Option<&str>, from: usize) -> Answer {
    let caches = state.caches();
    let visible: Vec<&Arc<Cache>> =
        caches.iter().filter(|cache| visit.viewer.may_read(state, cache)).collect();
    let mut shown = Vec::new();
    for cache in visible.iter().skip(from).take(ON_PAGE) {
        shown.push((*cache, figures_of(state, cache).await?));
    }
    let has_instructions = visible.len() <= WITH_INSTRUCTIONS;
    let url = |from: usize| visit.to(&format!("?from={from}"));
    let next = (visible.len() > from.saturating_add(ON_PAGE)).then(|| url(from + ON_PAGE));
    let body = html! {
        h1 { "Nix binary cache" }
        p.lead {
            "This server keeps what was built with Nix, so that it is downloaded instead of built again."
        }
        @if visible.is_empty() {
            @if visit.viewer.grant().is_some() {
                p { "Your token opens none of its caches." }
            } @else {
                p { "None of its caches is public. " a href=(visit.to("login")) { "Log in" } " to see those that you may read." }
            }
        }
        @for (cache, figures) in &shown {
            (entry(state, visit, cache, figures, has_instructions.then_some(host)))
        }
        (pager((from > 0).then(|| visit.to("")), next))
    };
    Ok(visit.reply(Page::new("Nix binary cache", body).of(Part::Caches)))
}

/// One cache. `instructions` has the host that the visitor came to if the entry is to say how to use the cache.
fn entry(
    state: &State,
    visit: &Visit,
    cache: &Arc<Cache>,
    figures: &Figures,
    instructions: Option<Option<&str>>,
) -> Markup {
    let url = visit.to(&format!("cache/{}", cache.name()));
    html! {
        section.cache {
            h2 {
                a href=(url) { (cache.name()) }
                @if !cache.is_public() { " " (badge("", "private")) }
            }
            p.meta {
                (count(cache.index.len() as u64, "path", "paths")) " · " (size(figures.sums.file_bytes))
                @if let Some(newest) = figures.newest { " · last pushed to " (ago(newest)) }
                @if instructions.is_none() { " · " a href=(format!("{url}#use")) { "How to use it" } }
            }
            @if let Some(host) = instructions {
                (tabs(visit, cache, &Addresses::of(state, cache, host)))
            }
        }
    }
}

/// Whether a request came to the own port of a private cache. That there is one is there for all to see, unlike behind a host name,
/// which may be that of no cache at all.
fn is_private_port(state: &State, head: &Head) -> Result<bool, HttpError> {
    let own = head.root.find_cache(state, head.host()?);
    Ok(head.root != Root::ByHost && own.is_some_and(|cache| !cache.is_public()))
}

/// The page on the port of a private cache for those who may not read it.
fn private_port(visit: &Visit) -> Response {
    let body = html! {
        h1 { "Nix binary cache" }
        p.lead { "The cache on this port is private. " a href=(visit.to("login")) { "Log in" } " with a token that may read it." }
    };
    visit.reply(Page::new("Private cache", body).of(Part::Caches))
}

/// Says what this server is and how to read from its public caches. On the port or host name of a cache, only of that one. The
/// names of private caches are not mentioned.
fn text(state: &State, head: &Head) -> Result<String, HttpError> {
    let host = head.host()?;
    let mut text = "This is a Nix binary cache (cache-server).\n".to_owned();
    if is_private_port(state, head)? {
        text.push_str(
            "\nIts cache on this port is private. A token reads from it: put `machine HOST login token password TOKEN` into the \
             netrc-file of Nix.\nThe operator makes tokens, and `cachectl cache info` shows the complete lines.\n",
        );
        return Ok(text);
    }
    let public = head.root.find_cache(state, host).filter(|cache| cache.is_public());
    let is_shown = |cache: &Cache| public.as_ref().map_or(cache.is_public(), |own| own.id == cache.id);
    for cache in state.caches().iter().filter(|cache| is_shown(cache)) {
        let url = state.origin.cache_url(cache, host);
        let keys: Vec<String> = cache.keys().published().iter().map(ToString::to_string).collect();
        let _ = write!(
            text,
            "\nTo read from cache `{}`, add to nix.conf:\n\n  extra-substituters = {url}\n  \
             extra-trusted-public-keys = {}\n",
            cache.name(),
            keys.join(" ")
        );
    }
    Ok(text)
}
