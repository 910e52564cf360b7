//! `GET /server/tokens`: the tokens that were made, newest first. Their texts are kept nowhere.

use admin_api::{ListTokens, TokenInfo};
use catalog::UnixTime;
use maud::{Markup, html};
use serde::Deserialize;

use super::{failed, top};
use crate::http::router::{Operate, Request};
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, badge, pager};
use crate::http::web::text::{count, visible};
use crate::http::{Answer, admin};

/// Tokens on one page.
const ON_PAGE: usize = 40;
/// Names of caches of one token that are shown.
const NAMES: usize = 8;

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    from: usize,
}

/// `GET /server/tokens`.
pub async fn get(request: Request<Operate>) -> Answer {
    let Request { state, grant: visit, head, .. } = request;
    let Query { from } = head.query()?;
    let tokens = admin::list_tokens(&state, ListTokens {}).await.map_err(failed)?;
    let shown: Vec<&TokenInfo> = tokens.iter().rev().skip(from).take(ON_PAGE).collect();
    let own = visit.to("server/tokens");
    let next = from.saturating_add(ON_PAGE);
    let body = html! {
        (top(&visit, "/tokens"))
        p.lead { (count(tokens.len() as u64, "token was", "tokens were")) " made. " code { "cachectl token revoke ID" } " revokes one." }
        @if !shown.is_empty() { (table(&shown)) }
        (pager((from > 0).then(|| own.clone()), (tokens.len() > next).then(|| format!("{own}?from={next}"))))
    };
    Ok(visit.reply(Page::new("Tokens", body).of(Part::Server)))
}

fn table(tokens: &[&TokenInfo]) -> Markup {
    html! {
        table {
            thead { tr { th { "For" } th { "Permits" } th { "State" } th.number.wide { "Made" } } }
            tbody {
                @for token in tokens {
                    tr {
                        td {
                            @match &token.subject {
                                Some(subject) => (visible(subject).chars().take(100).collect::<String>()),
                                None => span.soft { "no subject" },
                            }
                            div.hash { (token.id) }
                        }
                        td { (permits(token)) }
                        td { (state(token)) }
                        td.number.wide { (ago(UnixTime(token.created_at))) }
                    }
                }
            }
        }
    }
}

fn permits(token: &TokenInfo) -> String {
    let permission = format!("{:?}", token.permission).to_lowercase();
    let on = match (&token.agent, &token.workspace, token.all) {
        (Some(agent), _, _) => agent.clone(),
        (_, Some(workspace), _) => workspace.clone(),
        (_, _, true) => "all caches".to_owned(),
        _ => {
            let more = token.caches.len().saturating_sub(NAMES);
            let names = token.caches.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ");
            if more > 0 { format!("{names} and {more} more") } else { names }
        }
    };
    visible(&format!("{permission}: {on}"))
}

fn state(token: &TokenInfo) -> Markup {
    let now = UnixTime::now().0;
    html! {
        @match (token.revoked_at, token.expires_at) {
            (Some(at), _) => { (badge("bad", "revoked")) div.soft { (ago(UnixTime(at))) } }
            (None, Some(at)) if at <= now => { (badge("", "expired")) div.soft { (ago(UnixTime(at))) } }
            (None, Some(at)) => { (badge("good", "valid")) div.soft { "ends " (ago(UnixTime(at))) } }
            (None, None) => (badge("good", "valid")),
        }
    }
}
