//! `/v1/tokens`.

use std::sync::Arc;

use admin_api::{ApiError, CreateToken, CreatedToken, ErrorCode, Permission, TokenInfo};
use catalog::{TokenCaches, TokenPermission, TokenRecord, UnixTime};
use uuid::Uuid;
use warp::Filter;

use super::error::{failure, internal, unknown_cache};
use super::{Answer, body, reply};
use crate::app::App;
use crate::auth::NewToken;
use crate::http::Route;

pub(super) fn routes(app: &Arc<App>) -> impl Route {
    create(app.clone()).or(list(app.clone())).unify().or(revoke(app.clone())).unify()
}

fn list(app: Arc<App>) -> impl Route {
    warp::path!("v1" / "tokens").and(warp::get()).then(move || {
        let app = app.clone();
        reply(async move { Ok::<_, ApiError>(app.tokens.list().iter().map(token_info).collect::<Vec<_>>()) })
    })
}

fn create(app: Arc<App>) -> impl Route {
    warp::path!("v1" / "tokens").and(warp::post()).and(warp::body::stream()).then(move |stream| {
        let app = app.clone();
        reply(async move { issue(&app, body::json(stream).await?).await })
    })
}

fn revoke(app: Arc<App>) -> impl Route {
    warp::path!("v1" / "tokens" / String / "revoke").and(warp::post()).then(move |id: String| {
        let app = app.clone();
        reply(async move {
            let unknown = || {
                failure(
                    ErrorCode::NotFound,
                    format!("there is no token with id {id}"),
                    Some("`cachectl token list` shows the ids"),
                )
            };
            let parsed: Uuid = id.parse().map_err(|_| unknown())?;
            let revoked = app.tokens.revoke(parsed).await.map_err(|error| internal(&error))?;
            tracing::info!(token = %parsed, "token revoked");
            revoked.as_ref().map(token_info).ok_or_else(unknown)
        })
    })
}

async fn issue(app: &App, request: CreateToken) -> Answer<CreatedToken> {
    let caches = match (request.all, request.caches.is_empty()) {
        (true, true) => TokenCaches::All,
        (false, false) => TokenCaches::Only(request.caches),
        _ => {
            let message = "name the caches the token is for, or ask for all of them";
            return Err(failure(ErrorCode::Invalid, message, Some("use either --cache NAME or --all")));
        }
    };
    if let TokenCaches::Only(names) = &caches
        && let Some(unknown) = names.iter().find(|name| app.caches().find(name).is_none())
    {
        return Err(unknown_cache(unknown));
    }
    let expires_at = match request.expires_seconds {
        None => None,
        Some(0) => return Err(failure(ErrorCode::Invalid, "the token would expire at once", None)),
        Some(seconds) => {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            Some(UnixTime(UnixTime::now().0.saturating_add(seconds)))
        }
    };
    let new = NewToken {
        subject: request.subject.unwrap_or_default(),
        caches,
        permission: match request.permission {
            Permission::Read => TokenPermission::Read,
            Permission::Write => TokenPermission::Write,
            Permission::Admin => TokenPermission::Admin,
        },
        expires_at,
    };
    let issued = app.tokens.issue(new).await.map_err(|error| internal(&error))?;
    tracing::info!(token = %issued.record.id, "token issued");
    Ok(CreatedToken {
        id: issued.record.id.to_string(),
        token: issued.token,
        expires_at: issued.record.expires_at.map(|time| time.0),
    })
}

fn token_info(record: &TokenRecord) -> TokenInfo {
    let (all, caches) = match &record.caches {
        TokenCaches::All => (true, Vec::new()),
        TokenCaches::Only(names) => (false, names.clone()),
    };
    TokenInfo {
        id: record.id.to_string(),
        subject: Some(record.subject.clone()).filter(|subject| !subject.is_empty()),
        caches,
        all,
        permission: match record.permission {
            TokenPermission::Read => Permission::Read,
            TokenPermission::Write => Permission::Write,
            TokenPermission::Admin => Permission::Admin,
        },
        created_at: record.created_at.0,
        expires_at: record.expires_at.map(|time| time.0),
        revoked_at: record.revoked_at.map(|time| time.0),
    }
}
