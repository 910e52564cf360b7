//! `GET /cache/NAME/path/HASH/references` and `…/referrers`, in pages.

use catalog::PathId;
use maud::html;
use nix_formats::StorePath;
use serde::Deserialize;

use super::overview::reference;
use super::{Place, find};
use crate::http::Answer;
use crate::http::router::{PathHash, Request, ViewCache};
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{crumbs, pager};

/// Paths on one page.
const ON_PAGE: usize = 100;

#[derive(Deserialize)]
struct Query {
    /// How many references come before this page, or the row of the last referrer on the previous page.
    after: Option<u32>,
}

/// `GET …/references`.
pub async fn references(request: Request<ViewCache, (String, PathHash)>) -> Answer {
    let Request { state, grant: (visit, cache), path: (_, PathHash(hash)), head, .. } = request;
    let Query { after } = head.query()?;
    let from = after.unwrap_or(0) as usize;
    let record = find(&state, &cache, &hash).await?;
    let place = Place::of(&visit, &cache, &hash);
    let own = format!("{}/references", place.path);
    let others: Vec<&StorePath> = record.references.iter().filter(|path| **path != record.path).collect();
    let next = from.saturating_add(ON_PAGE);
    let body = html! {
        (crumbs(&place.crumbs(&visit, &cache, &record)))
        h1 { "What " (record.path.name()) " refers to" }
        ul.rows { @for path in others.iter().skip(from).take(ON_PAGE) { li { (reference(&place, &cache, path)) } } }
        (pager((from > 0).then(|| own.clone()), (others.len() > next).then(|| format!("{own}?after={next}"))))
    };
    Ok(visit.reply(Page::new("References", body).of(Part::Caches)))
}

/// `GET …/referrers`.
pub async fn referrers(request: Request<ViewCache, (String, PathHash)>) -> Answer {
    let Request { state, grant: (visit, cache), path: (_, PathHash(hash)), head, .. } = request;
    let Query { after } = head.query()?;
    let record = find(&state, &cache, &hash).await?;
    let place = Place::of(&visit, &cache, &hash);
    let own = format!("{}/referrers", place.path);
    let begin = after.map(|row| PathId(row.into()));
    let mut found = state.catalog.unhurried().referrers(cache.id, &hash, begin, ON_PAGE as u64 + 1).await?;
    let has_more = found.len() > ON_PAGE;
    found.truncate(ON_PAGE);
    let next = found.last().filter(|_| has_more).map(|referrer| format!("{own}?after={}", referrer.id.0));
    let shown: Vec<_> = found.iter().filter(|referrer| cache.index.may_hold(referrer.path.hash())).collect();
    let body = html! {
        (crumbs(&place.crumbs(&visit, &cache, &record)))
        h1 { "What refers to " (record.path.name()) }
        @if shown.is_empty() && next.is_none() { p { "Nothing in this cache." } }
        ul.rows { @for referrer in shown { li { (reference(&place, &cache, &referrer.path)) } } }
        (pager(after.is_some().then(|| own.clone()), next))
    };
    Ok(visit.reply(Page::new("Referrers", body).of(Part::Caches)))
}
