//! `GET /server`: findings of the doctor, storages, and where the server listens.

use admin_api::{Diagnose, Finding, FindingLevel, StorageState, StorageSummary};
use maud::{Markup, html};
use serde::Deserialize;

use super::{failed, top};
use crate::http::router::{Operate, Request};
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, badge, pager};
use crate::http::web::text::{count, number, size, visible};
use crate::http::{Answer, admin};

/// Findings that are shown. The doctor says the worst first.
const FINDINGS: usize = 40;
/// Storages on one page.
const ON_PAGE: usize = 50;
/// Characters of a text about which nothing is known.
const LONGEST: usize = 400;

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    from: usize,
}

/// `GET /server`.
pub async fn get(request: Request<Operate>) -> Answer {
    let Request { state, grant: visit, head, .. } = request;
    let Query { from } = head.query()?;
    let mut findings = admin::diagnose(&state, Diagnose {}).await.map_err(failed)?;
    findings.sort_by_key(|finding| std::cmp::Reverse(rank(finding)));
    let mut storages = Vec::new();
    for cache in state.caches().iter() {
        storages.extend(admin::storage_summaries(&state, cache).await.map_err(failed)?);
    }
    let has_more = storages.len() > from.saturating_add(ON_PAGE);
    let shown: Vec<&StorageSummary> = storages.iter().skip(from).take(ON_PAGE).collect();
    let url = |from: usize| visit.to(&format!("server?from={from}"));
    let body = html! {
        (top(&visit, ""))
        dl.figures {
            div { dt { "version" } dd { (env!("CARGO_PKG_VERSION")) } }
            div { dt { "started" } dd { (ago(state.started_at)) } }
            div { dt { "caches" } dd { (number(state.caches().iter().count() as u64)) } }
            div { dt { "storages" } dd { (number(storages.len() as u64)) } }
        }
        h2 { "Findings" }
        (findings_of(&findings))
        h2 { "Storages" }
        (table(&shown))
        (pager((from > 0).then(|| visit.to("server")), has_more.then(|| url(from + ON_PAGE))))
        h2 { "Listens on" }
        ul.rows {
            @for listener in state.listeners.infos().iter().take(ON_PAGE) {
                li {
                    code { (visible(&listener.address)) } " "
                    span.soft { (format!("{:?}", listener.purpose).to_lowercase()) @if let Some(cache) = &listener.cache { " " (cache) } }
                    @if let Some(error) = &listener.error { " " (badge("bad", error)) }
                }
            }
        }
    };
    Ok(visit.reply(Page::new("Server", body).of(Part::Server)))
}

fn rank(finding: &Finding) -> u8 {
    match finding.level {
        FindingLevel::Error => 2,
        FindingLevel::Warn => 1,
        _ => 0,
    }
}

fn findings_of(findings: &[Finding]) -> Markup {
    let bad: Vec<&Finding> = findings.iter().filter(|finding| rank(finding) > 0).collect();
    let good = findings.len() - bad.len();
    html! {
        @for finding in bad.iter().take(FINDINGS) {
            div class=(if rank(finding) > 1 { "note bad" } else { "note warn" }) {
                p { strong { (short(&finding.subject)) } ": " (short(&finding.message)) }
                @if let Some(advice) = &finding.advice { p { (short(advice)) } }
            }
        }
        @if bad.len() > FINDINGS { p { (bad.len() - FINDINGS) " more: see " code { "cachectl doctor" } "." } }
        @if bad.is_empty() { p { (badge("good", "All is well")) } }
        p.soft { (good) " checks found nothing to complain about." }
    }
}

fn short(text: &str) -> String {
    let mut shown = visible(text);
    if let Some((end, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

fn table(storages: &[&StorageSummary]) -> Markup {
    html! {
        table {
            thead { tr { th { "Storage" } th { "State" } th.number { "Used" } th.number { "Free" } th.number.wide { "Files" } th.wide { "Where" } } }
            tbody {
                @for storage in storages {
                    tr {
                        td { (visible(&storage.name)) " " span.soft { "of " (storage.cache) } }
                        td {
                            (state(storage))
                            @if storage.draining { " " (badge("warn", "draining")) }
                            @let damaged = storage.damaged + storage.copies_damaged;
                            @if damaged > 0 { " " (badge("bad", &format!("{damaged} damaged"))) }
                            @if let Some(error) = &storage.last_error { div.soft { (short(error)) } }
                        }
                        td.number {
                            (size(storage.used_bytes))
                            @if let Some(max) = storage.max_bytes { span.soft { " of " (size(max)) } }
                        }
                        td.number { @if let Some(free) = storage.free_bytes { (size(free)) } }
                        td.number.wide {
                            (number(storage.nars))
                            @if storage.copies > 0 { div.soft { "and " (count(storage.copies, "copy", "copies")) } }
                        }
                        td.wide { (short(&storage.location)) }
                    }
                }
            }
        }
    }
}

fn state(storage: &StorageSummary) -> Markup {
    match storage.state {
        StorageState::Ok => badge("good", "ok"),
        StorageState::Full => badge("warn", "full"),
        StorageState::Failing => badge("bad", "failing"),
        StorageState::Disabled => badge("", "not configured"),
    }
}
