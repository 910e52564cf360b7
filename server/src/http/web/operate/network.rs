//! `GET /server/network`: other nodes and upstreams.

use admin_api::{ListPeers, PeerInfo};
use catalog::UnixTime;
use maud::{Markup, html};
use serde::Deserialize;

use super::{failed, top};
use crate::http::router::{Operate, Request};
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, badge, pager};
use crate::http::web::text::{size, visible};
use crate::http::{Answer, admin};

/// Nodes on one page, and upstreams.
const ON_PAGE: usize = 60;

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    from: usize,
}

/// `GET /server/network`.
pub async fn get(request: Request<Operate>) -> Answer {
    let Request { state, grant: visit, head, .. } = request;
    let Query { from } = head.query()?;
    let peers = match state.federation.network() {
        Some(_) => Some(admin::list_peers(&state, ListPeers {}).await.map_err(failed)?),
        None => None,
    };
    let caches = state.caches();
    let upstreams: Vec<(String, String)> = caches
        .iter()
        .flat_map(|cache| {
            let name = cache.name().to_owned();
            let config = cache.config();
            let urls: Vec<String> = config.upstreams.iter().map(ToString::to_string).collect();
            urls.into_iter().map(move |url| (name.clone(), url))
        })
        .take(ON_PAGE)
        .collect();
    let own = visit.to("server/network");
    let count = peers.as_ref().map_or(0, Vec::len);
    let next = from.saturating_add(ON_PAGE);
    let body = html! {
        (top(&visit, "/network"))
        h2 { "Nodes" }
        @match &peers {
            None => p { "The server stands alone: it belongs to no network (" code { "server.standalone" } ")." },
            Some(peers) if peers.is_empty() => p { "No other node was found yet." },
            Some(peers) => (table(&peers.iter().skip(from).take(ON_PAGE).collect::<Vec<_>>())),
        }
        (pager((from > 0).then(|| own.clone()), (count > next).then(|| format!("{own}?from={next}"))))
        h2 { "Upstreams" }
        @if upstreams.is_empty() {
            p { "No cache asks another one for what it does not have." }
        } @else {
            table {
                thead { tr { th { "Cache" } th { "Asks" } } }
                tbody { @for (cache, url) in &upstreams { tr { td { (cache) } td { (visible(url)) } } } }
            }
        }
    };
    Ok(visit.reply(Page::new("Network", body).of(Part::Server)))
}

fn table(peers: &[&PeerInfo]) -> Markup {
    html! {
        table {
            thead { tr { th { "Node" } th.wide { "Caches" } th.number { "Latency" } th.number.wide { "Free" } th.number { "Seen" } } }
            tbody {
                @for peer in peers {
                    tr {
                        td {
                            (visible(&peer.url).chars().take(200).collect::<String>())
                            @if peer.breaker_open_for.is_some() { " " (badge("bad", "not asked, as it failed")) }
                        }
                        td.wide { (visible(&peer.caches.join(", ")).chars().take(200).collect::<String>()) }
                        td.number { @if let Some(latency) = peer.latency { (latency / 1000) " ms" } }
                        td.number.wide { (size(peer.free)) }
                        td.number { (ago(UnixTime(peer.last_seen))) }
                    }
                }
            }
        }
    }
}
