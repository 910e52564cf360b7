//! `GET /server/network`: other nodes and upstreams.

use admin_api::{ListPeers, ListUpstreams, PeerInfo, UpstreamInfo, UpstreamState};
use catalog::UnixTime;
use maud::{Markup, html};
use serde::Deserialize;

use super::{failed, top};
use crate::http::router::{Operate, Request};
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, badge, pager};
use crate::http::web::text::{number, size, visible};
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
    let upstreams = admin::list_upstreams(&state, ListUpstreams {}).await.map_err(failed)?;
    let own = visit.to("server/network");
    let count = peers.as_ref().map_or(0, Vec::len);
    let next = from.saturating_add(ON_PAGE);
    let body = html! {
        (top(&visit, "/network"))
        h2 { "Nodes" }
        @match &peers {
            None => p { "The server does not belong to a network (" code { "server.standalone" } ")." },
            Some(peers) if peers.is_empty() => p { "No other node was found yet." },
            Some(peers) => (table(&peers.iter().skip(from).take(ON_PAGE).collect::<Vec<_>>())),
        }
        (pager((from > 0).then(|| own.clone()), (count > next).then(|| format!("{own}?from={next}"))))
        h2 { "Upstreams" }
        @if upstreams.is_empty() {
            p { "No cache asks another one for what it does not have." }
        } @else {
            (upstream_table(&upstreams[..upstreams.len().min(ON_PAGE)]))
            @for upstream in upstreams.iter().take(ON_PAGE) { (last_error(upstream)) }
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

fn upstream_table(upstreams: &[UpstreamInfo]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th { "Upstream" }
                    th { "State" }
                    th.wide { "Caches" }
                    th.number { "Latency" }
                    th.number.wide { "Found" }
                    th.number.wide { "Absent" }
                    th.number.wide { "Failed" }
                    th.number.wide { "Fetched" }
                }
            }
            tbody {
                @for upstream in upstreams {
                    tr {
                        td { (visible(&upstream.url).chars().take(200).collect::<String>()) }
                        td { (state_badge(upstream)) }
                        td.wide { (caches_of(upstream)) }
                        td.number { @if let Some(latency) = upstream.latency { (latency.div_ceil(1000)) " ms" } }
                        td.number.wide { (number(upstream.found)) }
                        td.number.wide { (number(upstream.absent + upstream.remembered)) }
                        td.number.wide { (number(upstream.failed + upstream.refused + upstream.unusable)) }
                        td.number.wide { (size(upstream.nar_bytes)) }
                    }
                }
            }
        }
    }
}

fn caches_of(upstream: &UpstreamInfo) -> String {
    let names: Vec<&str> = upstream.caches.iter().map(|user| user.cache.as_str()).collect();
    visible(&names.join(", ")).chars().take(200).collect()
}

fn state_badge(upstream: &UpstreamInfo) -> Markup {
    match upstream.state {
        UpstreamState::Unknown => badge("", "not asked yet"),
        UpstreamState::Ok if upstream.quarantined > 0 => badge("warn", "some paths quarantined"),
        UpstreamState::Ok => badge("good", "ok"),
        UpstreamState::Refusing => badge("bad", "refuses the credentials"),
        UpstreamState::BreakerOpen => badge("bad", "not asked, as it failed"),
    }
}

/// What last went wrong with an upstream.
fn last_error(upstream: &UpstreamInfo) -> Markup {
    html! {
        @if let Some(error) = &upstream.last_error {
            p.soft {
                (visible(&upstream.url).chars().take(200).collect::<String>()) ": last error "
                @if let Some(at) = upstream.last_error_at { (ago(UnixTime(at))) }
                ": " (visible(error).chars().take(500).collect::<String>())
            }
        }
    }
}
