//! `GET /cache/NAME`: what a cache is, what it holds, and how to use it.

use admin_api::CopiesSummary;
use catalog::{PathLine, PinRecord};
use maud::{Markup, html};

use super::figures::figures_of;
use super::growth::{chart, size_chart};
use super::pins;
use crate::cache::Cache;
use crate::http::router::{Request, ViewCache};
use crate::http::state::State;
use crate::http::web::Visit;
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, badge, code, crumbs, path_link};
use crate::http::web::setup::{Addresses, tabs};
use crate::http::web::text::{count, number, size, visible};
use crate::http::{Answer, admin};

/// Paths in each of the two short lists.
const LISTED: u64 = 10;
/// Pins on this page.
const PINS: u64 = 8;

/// `GET /cache/NAME`.
pub async fn get(request: Request<ViewCache, String>) -> Answer {
    let Request { state, grant: (visit, cache), head, .. } = request;
    page(&state, &visit, &cache, head.host()?).await
}

/// Makes the page.
///
/// # Errors
///
/// That of the catalog.
pub async fn page(state: &State, visit: &Visit, cache: &Cache, host: Option<&str>) -> Answer {
    let figures = figures_of(state, cache).await?;
    let catalog = state.catalog.unhurried();
    let newest = catalog.newest_paths(cache.id, LISTED).await?;
    let largest = catalog.largest_visible(cache.id, LISTED).await?;
    let pins = catalog.pins_page(cache.id, None, PINS + 1).await?;
    let addresses = Addresses::of(state, cache, host);
    let config = cache.config();
    let own = visit.to(&format!("cache/{}", cache.name()));
    let is_member = visit.viewer.is_member(state, cache);
    let copies = match is_member {
        true => admin::copies_summary(state, cache).await?,
        false => None,
    };
    let body = html! {
        (crumbs(&[(visit.to(""), "Caches".to_owned())]))
        h1 { (cache.name()) " " (badge("", if cache.is_public() { "public" } else { "private" })) }
        dl.figures {
            div { dt { @if cache.index.is_complete() { "paths" } @else { "paths so far" } } dd { (number(cache.index.len() as u64)) } }
            div { dt { "stored" } dd { (size(figures.sums.file_bytes)) } }
            @if figures.sums.nar_bytes > 0 { div { dt { "unpacked" } dd { (size(figures.sums.nar_bytes)) } } }
            @if let Some(at) = figures.newest { div { dt { "last push" } dd { (ago(at)) } } }
        }
        (search_form(&own, ""))
        h2 #use { "Use it" }
        (tabs(visit, cache, &addresses))
        h2 { "What is new" }
        (table(cache, &own, &newest, true))
        h2 { "Growth" }
        (size_chart(&figures))
        (chart(&figures))
        h2 { "What is largest" }
        (table(cache, &own, &largest, false))
        (pinned(cache, &own, &pins))
        h2 { "About this cache" }
        dl.facts {
            dt { "URL" } dd { (code(std::slice::from_ref(&addresses.url))) }
            dt { @if addresses.keys.len() == 1 { "Public key" } @else { "Public keys" } }
            dd { (code(&addresses.keys)) }
            dt { "Priority" } dd { (config.priority) }
            dt { "Retention" } dd { (config.retention) " days after the last use" }
            @if let Some(copies) = &copies { dt { "Copies" } dd { (copies_of_each(copies)) } }
            @if is_member && !config.upstreams.is_empty() {
                dt { "Fetches from" }
                dd { @for upstream in &config.upstreams { div { (upstream) } } }
            }
        }
    };
    Ok(visit.reply(Page::new(cache.name(), body).of(Part::Caches)))
}

/// How many copies there are to be of each NAR, and how many are missing.
fn copies_of_each(copies: &CopiesSummary) -> Markup {
    html! {
        (copies.wanted) " of each NAR"
        @if copies.missing > 0 {
            " " (badge("warn", &format!("{} missing", count(copies.missing, "copy", "copies"))))
            span.soft {
                " " (size(copies.missing_bytes))
                @if copies.exposed > 0 { ", " (number(copies.exposed)) " of NARs that have a single sound one" }
            }
        }
    }
}

/// The field to search in a cache.
pub fn search_form(cache_url: &str, text: &str) -> Markup {
    html! {
        form.search action=(format!("{cache_url}/paths")) role="search" {
            label.unseen for="q" { "Search by name or hash" }
            input #q type="search" name="q" value=(visible(text)) placeholder="Search by name or hash" autocomplete="off" maxlength="200";
            button.button type="submit" { "Search" }
        }
    }
}

/// Paths with their sizes. A path that is hidden from clients is hidden here.
pub fn table(cache: &Cache, cache_url: &str, lines: &[PathLine], with_time: bool) -> Markup {
    let shown: Vec<_> = lines.iter().filter(|line| cache.index.may_hold(line.path.hash())).collect();
    html! {
        @if shown.is_empty() {
            p.soft { "Nothing yet." }
        } @else {
            table {
                thead {
                    tr {
                        th { "Path" }
                        th.number.wide { "Unpacked" }
                        th.number { "Stored" }
                        @if with_time { th.number.wide { "Pushed" } }
                    }
                }
                tbody {
                    @for line in shown {
                        tr {
                            td { (path_link(&format!("{cache_url}/path/{}", line.path.hash()), &line.path)) }
                            td.number.wide { (size(line.nar_size)) }
                            td.number { (size(line.file_size)) }
                            @if with_time { td.number.wide { (ago(line.created_at)) } }
                        }
                    }
                }
            }
        }
    }
}

fn pinned(cache: &Cache, own: &str, found: &[PinRecord]) -> Markup {
    let shown = found.get(..PINS as usize).unwrap_or(found);
    html! {
        @if !found.is_empty() {
            h2 { "Pins" }
            (pins::table(cache, own, shown))
            p.pages { a href=(format!("{own}/pins")) { "All pins" } }
        }
    }
}
