//! `GET /cache/NAME/pins`.

use catalog::{Keep, PinRecord};
use maud::{Markup, html};
use serde::Deserialize;

use crate::cache::Cache;
use crate::http::Answer;
use crate::http::router::{Request, ViewCache};
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, crumbs, pager, path_link};
use crate::http::web::text::{encode, visible};

/// Pins on one page. Their names may be long.
const ON_PAGE: usize = 40;
/// The most characters of a name that are shown.
const NAME: usize = 80;

/// The last pin of the previous page.
#[derive(Deserialize)]
struct Query {
    name: Option<String>,
    revision: Option<u64>,
}

/// `GET /cache/NAME/pins`.
pub async fn get(request: Request<ViewCache, String>) -> Answer {
    let Request { state, grant: (visit, cache), head, .. } = request;
    let Query { name, revision } = head.query()?;
    let after = name.as_deref().zip(revision);
    let mut pins = state.catalog.unhurried().pins_page(cache.id, after, ON_PAGE as u64 + 1).await?;
    let has_more = pins.len() > ON_PAGE;
    pins.truncate(ON_PAGE);
    let own = visit.to(&format!("cache/{}", cache.name()));
    let next = pins.last().filter(|_| has_more);
    let next = next.map(|pin| format!("{own}/pins?name={}&revision={}", encode(&pin.name), pin.revision));
    let body = html! {
        (crumbs(&[(visit.to(""), "Caches".to_owned()), (own.clone(), cache.name().to_owned())]))
        h1 { "Pins" }
        p.lead { "A pin is a name that keeps a path, and all that it needs, from being collected." }
        @if pins.is_empty() { p { "There are none." } } @else { (table(&cache, &own, &pins)) }
        (pager(after.is_some().then(|| format!("{own}/pins")), next))
    };
    Ok(visit.reply(Page::new(&format!("Pins of {}", cache.name()), body).of(Part::Caches)))
}

/// Pins with the paths that they keep.
pub fn table(cache: &Cache, cache_url: &str, pins: &[PinRecord]) -> Markup {
    html! {
        table {
            thead { tr { th { "Pin" } th { "Path" } th.wide { "Kept" } th.number.wide { "Set" } } }
            tbody {
                @for pin in pins {
                    tr {
                        td { (shortened(&pin.name)) " " span.hash { "#" (pin.revision) } }
                        td {
                            @if cache.index.may_hold(pin.path.hash()) {
                                (path_link(&format!("{cache_url}/path/{}", pin.path.hash()), &pin.path))
                            } @else {
                                (pin.path.name())
                            }
                        }
                        td.wide { (kept(pin.keep)) }
                        td.number.wide { (ago(pin.created_at)) }
                    }
                }
            }
        }
    }
}

/// How long a pin keeps its path.
pub fn kept(keep: Keep) -> String {
    match keep {
        Keep::All => "until it is removed".to_owned(),
        Keep::Forever => "forever".to_owned(),
        Keep::Days(1) => "1 day".to_owned(),
        Keep::Days(days) => format!("{days} days"),
        Keep::Revisions(1) => "until the next revision".to_owned(),
        Keep::Revisions(revisions) => format!("last {revisions} revisions"),
    }
}

fn shortened(name: &str) -> String {
    let mut text: String = visible(name).chars().take(NAME + 1).collect();
    if text.chars().count() > NAME {
        text.pop();
        text.push('…');
    }
    text
}
