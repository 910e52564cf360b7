//! `GET /cache/NAME/paths`: all paths of a cache by name, and the search in them by name and by hash.

use std::sync::Arc;

use catalog::{NameSearch, PathLine};
use http::HeaderValue;
use http::header::LOCATION;
use maud::{Markup, html};
use nix_formats::{StorePath, StorePathHash};
use serde::Deserialize;

use super::overview::{search_form, table};
use crate::cache::{Cache, blocking};
use crate::http::error::HttpError;
use crate::http::router::{Request, ViewCache};
use crate::http::state::State;
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{crumbs, pager};
use crate::http::web::text::{encode, visible};
use crate::http::{Answer, status};

/// Paths on one page.
const ON_PAGE: usize = 50;
/// Paths whose names begin with what is searched for, which come first.
const AT_FRONT: usize = 20;
/// Paths whose hashes begin with what is searched for.
const BY_HASH: usize = 20;
/// Characters of a hash that it takes to search by hash.
const LEAST_OF_HASH: usize = 4;
/// The most characters that are searched for.
const LONGEST: usize = 200;
/// The most words. Each is looked for in every name.
const MOST_WORDS: usize = 5;

#[derive(Default, Deserialize)]
struct Query {
    #[serde(default)]
    q: String,
    /// `start` for the paths whose names begin with `q`.
    at: Option<String>,
    /// The last path of the previous page: its hash, a minus, and its name.
    after: Option<String>,
}

/// `GET /cache/NAME/paths`.
pub async fn get(request: Request<ViewCache, String>) -> Answer {
    let Request { state, grant: (visit, cache), head, .. } = request;
    let query: Query = head.query()?;
    let text: String = query.q.trim().chars().take(LONGEST).collect();
    let own = visit.to(&format!("cache/{}", cache.name()));
    if let Some(hash) = whole_hash(&text).filter(|hash| cache.index.may_hold(hash)) {
        let mut response = status(http::StatusCode::SEE_OTHER);
        let url = HeaderValue::try_from(format!("{own}/path/{hash}"))
            .map_err(|error| HttpError::internal(&error))?;
        response.headers_mut().insert(LOCATION, url);
        return Ok(response);
    }
    let after = query.after.as_deref().map(StorePath::from_base_name).transpose();
    let after = after.map_err(|_| HttpError::bad_request("This link is damaged. Search again."))?;
    let is_first = after.is_none();
    let only_start = query.at.as_deref() == Some("start") && !text.is_empty();

    let mut sections = Vec::new();
    if !text.is_empty() && is_first && !only_start {
        let by_hash = by_hash(&state, &cache, &text).await?;
        if !by_hash.is_empty() {
            sections.push(html! { h2 { "By hash" } (table(&cache, &own, &by_hash, true)) });
        }
        let start = search(&state, &cache, &text, true, None, AT_FRONT).await?;
        if !start.lines.is_empty() {
            let more = start.has_more.then(|| format!("{own}/paths?q={}&at=start", encode(&text)));
            sections.push(html! {
                h2 { "Names that begin with “" (visible(&text)) "”" }
                (table(&cache, &own, &start.lines, true))
                @if let Some(url) = more { p.pages { a href=(url) { "All of these" } } }
            });
        }
    }
    let found = search(&state, &cache, &text, only_start, after, ON_PAGE).await?;
    let heading = match (text.is_empty(), only_start) {
        (true, _) => "All paths by name".to_owned(),
        (_, true) => format!("Names that begin with “{}”", visible(&text)),
        (_, false) => format!("Names that contain “{}”", visible(&text)),
    };
    let at = if only_start { "&at=start" } else { "" };
    let url = format!("{own}/paths?q={}{at}", encode(&text));
    let next = found.lines.last().filter(|_| found.has_more);
    let next = next.map(|line| format!("{url}&after={}", encode(&line.path.base_name())));
    let has_none = sections.is_empty() && found.lines.is_empty();
    let body: Markup = html! {
        (crumbs(&[(visit.to(""), "Caches".to_owned()), (own.clone(), cache.name().to_owned())]))
        h1 { @if text.is_empty() { "Paths" } @else { "Search" } }
        (search_form(&own, &text))
        @for section in sections { (section) }
        @if has_none {
            p.lead { @if text.is_empty() { "The cache is empty." } @else { "Nothing was found." } }
        } @else if !found.lines.is_empty() {
            h2 { (heading) }
            (table(&cache, &own, &found.lines, true))
        }
        (pager((!is_first).then_some(url), next))
    };
    let title = if text.is_empty() { format!("Paths of {}", cache.name()) } else { text };
    Ok(visit.reply(Page::new(&title, body).of(Part::Caches)))
}

/// Some of the paths that a search finds.
struct Found {
    lines: Vec<PathLine>,
    has_more: bool,
}

async fn search(
    state: &State,
    cache: &Cache,
    text: &str,
    at_start: bool,
    after: Option<StorePath>,
    most: usize,
) -> Result<Found, HttpError> {
    let words = text.split_whitespace().take(MOST_WORDS).map(str::to_owned).collect();
    let search = NameSearch {
        start: if at_start { text.to_owned() } else { String::new() },
        words: if at_start { Vec::new() } else { words },
        after: after.map(|path| (path.name().to_owned(), *path.hash())),
        limit: most as u64 + 1,
    };
    let mut lines = state.catalog.unhurried().search_names(cache.id, search).await?;
    let has_more = lines.len() > most;
    lines.truncate(most);
    Ok(Found { lines, has_more })
}

/// The hash, if the text is one, alone or in a store path.
fn whole_hash(text: &str) -> Option<StorePathHash> {
    let base = text.rsplit('/').next()?;
    base.parse().ok().or_else(|| StorePath::from_base_name(base).ok().map(|path| *path.hash()))
}

/// Finds paths by the beginning of their hashes, which the index in memory has.
async fn by_hash(state: &State, cache: &Arc<Cache>, text: &str) -> Result<Vec<PathLine>, HttpError> {
    let text = text.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    if text.len() < LEAST_OF_HASH {
        return Ok(Vec::new());
    }
    let index = cache.clone();
    let hashes = blocking(move || index.index.find_by_prefix(&text, BY_HASH)).await?;
    Ok(state.catalog.unhurried().lines_by_hash(cache.id, &hashes).await?)
}
