//! Tokens.

use admin_api::{
    ApiError, CreateToken, CreatedToken, ErrorCode, ListTokens, Permission, RevokeToken, TokenInfo,
};
use catalog::{TokenCaches, TokenPermission, TokenRecord, TokenScope, UnixTime};
use uuid::Uuid;

use super::Answer;
use super::caches::find;
use super::error::{failure, internal, unknown_agent, unknown_workspace};
use crate::auth::NewToken;
use crate::http::state::State;

pub(in crate::http) async fn list(state: &State, _: ListTokens) -> Answer<Vec<TokenInfo>> {
    let sessions = state.tokens.list_sessions().await.map_err(|error| internal(&error))?;
    Ok(state.tokens.list().iter().chain(&sessions).map(token_info).collect())
}

pub(super) async fn revoke(state: &State, RevokeToken { id }: RevokeToken) -> Answer<TokenInfo> {
    let unknown = || {
        let hint = Some("`cachectl token list` shows the ids");
        failure(ErrorCode::NotFound, format!("there is no token with the id `{id}`"), hint)
    };
    let parsed: Uuid = id.parse().map_err(|_| unknown())?;
    let revoked = state.tokens.revoke(parsed).await.map_err(|error| internal(&error))?;
    tracing::info!(token = %parsed, "token revoked");
    revoked.as_ref().map(token_info).ok_or_else(unknown)
}

pub(super) async fn create(state: &State, request: CreateToken) -> Answer<CreatedToken> {
    let scope = scope(state, &request)?;
    let expires_at = match request.expires_seconds {
        None => None,
        Some(0) => return Err(failure(ErrorCode::Invalid, "the token would expire immediately", None)),
        Some(seconds) => {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            Some(UnixTime(UnixTime::now().0.saturating_add(seconds)))
        }
    };
    let daily_limit = request.daily_limit;
    let writes = matches!(request.permission, Permission::Write | Permission::Admin);
    if daily_limit.is_some() && !writes {
        let hint = "leave out --daily-limit, or pass --permission write";
        return Err(invalid("a limit on pushes needs a token that may push", hint));
    }
    let new = NewToken { subject: request.subject.unwrap_or_default(), scope, expires_at, daily_limit };
    let issued = state.tokens.issue(new).await.map_err(|error| internal(&error))?;
    tracing::info!(token = %issued.record.id, "token issued");
    Ok(CreatedToken {
        id: issued.record.id.to_string(),
        token: issued.token,
        expires_at: issued.record.expires_at.map(|time| time.0),
    })
}

/// Returns what the token is for.
fn scope(state: &State, request: &CreateToken) -> Answer<TokenScope> {
    let permission = match request.permission {
        Permission::Read => TokenPermission::Read,
        Permission::Write => TokenPermission::Write,
        Permission::Admin => TokenPermission::Admin,
        Permission::Activate => return activate_scope(state, request),
        Permission::Agent => return agent_scope(state, request),
    };
    if request.workspace.is_some() || request.agent.is_some() {
        let hint = "pass --permission activate with --workspace, or use `cachectl agent token NAME`";
        return Err(invalid("this permission is for caches, not for a workspace or an agent", hint));
    }
    let caches = match (request.all, request.caches.is_empty()) {
        (true, true) => TokenCaches::All,
        (false, false) => TokenCaches::Only(request.caches.clone()),
        _ => {
            return Err(invalid(
                "a token is for named caches or for all of them",
                "pass --cache NAME or --all",
            ));
        }
    };
    if let TokenCaches::Only(names) = &caches {
        for name in names {
            find(state, name)?;
        }
    }
    Ok(TokenScope::Caches { caches, permission })
}

fn activate_scope(state: &State, request: &CreateToken) -> Answer<TokenScope> {
    let name = request.workspace.as_ref().filter(|_| names_no_cache(request) && request.agent.is_none());
    let name = name.ok_or_else(|| {
        invalid(
            "a token to activate deployments is for one workspace",
            "pass --workspace NAME and no --cache",
        )
    })?;
    if state.deploy.fleet().workspace(name).is_none() {
        return Err(unknown_workspace(state, name));
    }
    Ok(TokenScope::Activate(name.clone()))
}

fn agent_scope(state: &State, request: &CreateToken) -> Answer<TokenScope> {
    let name = request.agent.as_ref().filter(|_| names_no_cache(request) && request.workspace.is_none());
    let name = name.ok_or_else(|| {
        invalid("the token of an agent is for that agent only", "use `cachectl agent token NAME`")
    })?;
    if state.deploy.fleet().agent(name).is_none() {
        return Err(unknown_agent(state, name));
    }
    Ok(TokenScope::Agent(name.clone()))
}

fn invalid(message: &str, hint: &str) -> ApiError {
    failure(ErrorCode::Invalid, message, Some(hint))
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
        daily_limit: record.daily_limit,
        revoked_at: record.revoked_at.map(|time| time.0),
    }
}
