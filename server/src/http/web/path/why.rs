//! `GET /cache/NAME/path/HASH/why`: why garbage collection keeps a path. It looks at the whole cache for that, so it takes a token.

use std::time::Duration;

use admin_api::ExplainPath;
use catalog::UnixTime;
use http::StatusCode;
use maud::html;
use tokio::sync::Semaphore;

use super::{Place, find};
use crate::http::error::HttpError;
use crate::http::router::{PathHash, Request, ViewCache};
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, crumbs};
use crate::http::web::text::visible;
use crate::http::{Answer, admin};

/// A census of a large cache takes memory, so there is one at a time.
static EXPLAINING: Semaphore = Semaphore::const_new(1);
/// How long a visitor waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET …/why`.
pub async fn get(request: Request<ViewCache, (String, PathHash)>) -> Answer {
    let Request { state, grant: (visit, cache), path: (_, PathHash(hash)), .. } = request;
    let record = find(&state, &cache, &hash).await?;
    if !visit.viewer.is_member(&state, &cache) {
        let message = "What keeps a path is for those who have a token for the cache.";
        return Err(HttpError::new(StatusCode::UNAUTHORIZED, message));
    }
    let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, EXPLAINING.acquire()).await else {
        let message = "Another path is being explained. Try again in a moment.";
        return Err(HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message));
    };
    let ask = ExplainPath { cache: cache.name().to_owned(), hash: hash.to_string() };
    let why = admin::explain(&state, ask).await;
    drop(turn);
    let why = why.map_err(|error| HttpError::new(StatusCode::SERVICE_UNAVAILABLE, error.message))?;
    let place = Place::of(&visit, &cache, &hash);
    let body = html! {
        (crumbs(&place.crumbs(&visit, &cache, &record)))
        h1 { "What keeps " (record.path.name()) }
        p.lead { @if why.live { "It is kept: " } @else { "It is not kept: " } (visible(&why.reason)) "." }
        @if let Some(at) = why.goes_at {
            p { "If nothing changes, it can be collected " (ago(UnixTime(at))) "." }
        }
        @if why.chain.len() > 1 {
            h2 { "The chain" }
            p.soft { "Each is referred to by the next." }
            ul.rows {
                @for path in why.chain.iter().take(200) {
                    @let hash = path.split('-').next().unwrap_or_default();
                    li { a href=(format!("{}/path/{hash}", place.cache)) { (visible(path)) } }
                }
            }
        }
    };
    Ok(visit.reply(Page::new("What keeps it", body).of(Part::Caches)))
}
