//! `/v1/tokens`.

use std::sync::Arc;

use admin_api::{ApiError, CreateToken, CreatedToken, ErrorCode, Permission, TokenInfo};
use catalog::{TokenCaches, TokenPermission, TokenRecord, TokenScope, UnixTime};
use uuid::Uuid;
use warp::Filter;

use super::error::{failure, internal, unknown_agent, unknown_cache, unknown_workspace};
use super::{Answer, body, reply};
use crate::auth::NewToken;
use crate::http::state::State;
use crate::http::{Route, any_of};

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    any_of([create(state.clone()).boxed(), list(state.clone()).boxed(), revoke(state.clone()).boxed()])
}

fn list(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "tokens").and(warp::get()).then(move || {
        let state = state.clone();
        reply(
            async move { Ok::<_, ApiError>(state.tokens.list().iter().map(token_info).collect::<Vec<_>>()) },
        )
    })
}

fn create(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "tokens").and(warp::post()).and(warp::body::stream()).then(move |stream| {
        let state = state.clone();
        reply(async move { issue(&state, body::json(stream).await?).await })
    })
}

fn revoke(state: Arc<State>) -> impl Route {
    warp::path!("v1" / "tokens" / String / "revoke").and(warp::post()).then(move |id: String| {
        let state = state.clone();
        reply(async move {
            let unknown = || {
                failure(
                    ErrorCode::NotFound,
                    format!("there is no token with id {id}"),
                    Some("`cachectl token list` shows the ids"),
                )
            };
            let parsed: Uuid = id.parse().map_err(|_| unknown())?;
            let revoked = state.tokens.revoke(parsed).await.map_err(|error| internal(&error))?;
            tracing::info!(token = %parsed, "token revoked");
            revoked.as_ref().map(token_info).ok_or_else(unknown)
        })
    })
}

async fn issue(state: &State, request: CreateToken) -> Answer<CreatedToken> {
    let scope = scope(state, &request)?;
    let expires_at = match request.expires_seconds {
        None => None,
        Some(0) => return Err(failure(ErrorCode::Invalid, "the token would expire at once", None)),
        Some(seconds) => {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            Some(UnixTime(UnixTime::now().0.saturating_add(seconds)))
        }
    };
    let new = NewToken { subject: request.subject.unwrap_or_default(), scope, expires_at };
    let issued = state.tokens.issue(new).await.map_err(|error| internal(&error))?;
    tracing::info!(token = %issued.record.id, "token issued");
    Ok(CreatedToken {
        id: issued.record.id.to_string(),
        token: issued.token,
        expires_at: issued.record.expires_at.map(|time| time.0),
    })
}

/// What a token is to be good for.
fn scope(state: &State, request: &CreateToken) -> Answer<TokenScope> {
    let invalid = |message: &str, hint| Err(failure(ErrorCode::Invalid, message, Some(hint)));
    let permission = match request.permission {
        Permission::Read => TokenPermission::Read,
        Permission::Write => TokenPermission::Write,
        Permission::Admin => TokenPermission::Admin,
        Permission::Activate => return activate_scope(state, request),
        Permission::Agent => return agent_scope(state, request),
    };
    if request.workspace.is_some() || request.agent.is_some() {
        let hint = "use --permission activate with --workspace, or `cachectl agent token NAME`";
        return invalid("in workspaces and for agents there are other permissions", hint);
    }
    let caches = match (request.all, request.caches.is_empty()) {
        (true, true) => TokenCaches::All,
        (false, false) => TokenCaches::Only(request.caches.clone()),
        _ => {
            let message = "name the caches the token is for, or ask for all of them";
            return invalid(message, "use either --cache NAME or --all");
        }
    };
    if let TokenCaches::Only(names) = &caches
        && let Some(unknown) = names.iter().find(|name| state.caches().find(name).is_none())
    {
        return Err(unknown_cache(unknown));
    }
    Ok(TokenScope::Caches { caches, permission })
}

fn activate_scope(state: &State, request: &CreateToken) -> Answer<TokenScope> {
    let Some(name) =
        request.workspace.as_ref().filter(|_| names_no_cache(request) && request.agent.is_none())
    else {
        let message = "deployments are activated in a workspace";
        return Err(failure(ErrorCode::Invalid, message, Some("use --workspace NAME, and no --cache")));
    };
    if state.deploy.fleet().workspace(name).is_none() {
        return Err(unknown_workspace(name));
    }
    Ok(TokenScope::Activate(name.clone()))
}

fn agent_scope(state: &State, request: &CreateToken) -> Answer<TokenScope> {
    let Some(name) =
        request.agent.as_ref().filter(|_| names_no_cache(request) && request.workspace.is_none())
    else {
        let message = "the token of an agent is for one agent and nothing else";
        return Err(failure(ErrorCode::Invalid, message, Some("use `cachectl agent token NAME`")));
    };
    if state.deploy.fleet().agent(name).is_none() {
        return Err(unknown_agent(name));
    }
    Ok(TokenScope::Agent(name.clone()))
}

fn names_no_cache(request: &CreateToken) -> bool {
    request.caches.is_empty() && !request.all
}

fn token_info(record: &TokenRecord) -> TokenInfo {
    let (mut all, mut caches, mut workspace, mut agent) = (false, Vec::new(), None, None);
    let permission = match &record.scope {
        TokenScope::Caches { caches: opened, permission } => {
            match opened {
                TokenCaches::All => all = true,
                TokenCaches::Only(names) => caches.clone_from(names),
            }
            match permission {
                TokenPermission::Read => Permission::Read,
                TokenPermission::Write => Permission::Write,
                TokenPermission::Admin => Permission::Admin,
            }
        }
        TokenScope::Activate(name) => {
            workspace = Some(name.clone());
            Permission::Activate
        }
        TokenScope::Agent(name) => {
            agent = Some(name.clone());
            Permission::Agent
        }
    };
    TokenInfo {
        id: record.id.to_string(),
        subject: Some(record.subject.clone()).filter(|subject| !subject.is_empty()),
        caches,
        all,
        workspace,
        agent,
        permission,
        created_at: record.created_at.0,
        expires_at: record.expires_at.map(|time| time.0),
        revoked_at: record.revoked_at.map(|time| time.0),
    }
}
