//! Who may call what.

use std::sync::Arc;

use catalog::{TokenPermission, TokenScope};

use crate::auth::{AuthError, Credential, Grant, TokenRef, Tokens};
use crate::cache::Cache;
use crate::deploy::{Agent, Workspace};
use crate::http::state::State;

/// Permits reading what Nix reads. A public cache ignores invalid credentials: netrc knows hosts but neither ports nor paths, so
/// Nix sends the token of one cache to all caches on its host. The token of a deploy agent opens the cache of its workspace.
pub fn read(state: &State, cache: &Cache, authorization: Option<&str>) -> Result<(), AuthError> {
    if cache.is_public() {
        return Ok(());
    }
    let grant = verify(&state.tokens, authorization)?;
    read_with(state, cache, &grant)
}

/// As [`read`], of a private cache by the holder of a token.
pub fn read_with(state: &State, cache: &Cache, grant: &Grant) -> Result<(), AuthError> {
    if let TokenScope::Agent(name) = &grant.scope
        && state.deploy.fleet().agent(name).is_some_and(|agent| agent.workspace.cache == cache.name())
    {
        return Ok(());
    }
    permit(grant, cache, TokenPermission::Read)?;
    Ok(())
}

/// Permits learning whether a cache of this name exists. Everybody may know of a public one, and only those who may read it of a
/// private one. If private caches are hidden (`server.hide-private-caches`), a name that no cache has is treated like theirs.
pub fn know(
    state: &State,
    name: &str,
    cache: Option<&Cache>,
    authorization: Option<&str>,
) -> Result<(), AuthError> {
    match cache {
        Some(cache) => read(state, cache, authorization),
        None if !state.config().server.hide_private_caches => Ok(()),
        None => {
            let grant = verify(&state.tokens, authorization)?;
            permit_on(&grant, name, TokenPermission::Read).map(|_| ())
        }
    }
}

/// Permits reading through the API. Returns `None` for an anonymous reader of a public cache.
///
/// A token that is invalid, expired or revoked is an error even on a public cache, so that its owner learns about it before a
/// push fails. A public cache ignores a valid token for other caches, because clients have one token for all caches of a
/// server (`cachix authtoken`).
pub fn read_api(
    tokens: &Tokens,
    cache: &Cache,
    authorization: Option<&str>,
) -> Result<Option<TokenPermission>, AuthError> {
    match verify(tokens, authorization) {
        Err(AuthError::Missing) if cache.is_public() => Ok(None),
        Err(error) => Err(error),
        Ok(grant) if cache.is_public() => Ok(grant.permission_on(cache.name())),
        Ok(grant) => permit(&grant, cache, TokenPermission::Read).map(Some),
    }
}

/// Permits changing a cache. Returns the token.
pub fn write(tokens: &Tokens, cache: &Cache, authorization: Option<&str>) -> Result<TokenRef, AuthError> {
    let grant = verify(tokens, authorization)?;
    permit(&grant, cache, TokenPermission::Write)?;
    Ok(grant.token)
}

/// Permits changing what a cache is, and not only what it holds. Returns the token.
pub fn administer(
    tokens: &Tokens,
    cache: &Cache,
    authorization: Option<&str>,
) -> Result<TokenRef, AuthError> {
    let grant = verify(tokens, authorization)?;
    permit(&grant, cache, TokenPermission::Admin)?;
    Ok(grant.token)
}

/// Identifies an agent by its own token. Returns both.
pub fn agent(
    state: &State,
    name: Option<&str>,
    authorization: Option<&str>,
) -> Result<(Arc<Agent>, TokenRef), AuthError> {
    let grant = verify(&state.tokens, authorization)?;
    let TokenScope::Agent(token_of) = grant.scope else { return Err(AuthError::NotOfAgent) };
    match name {
        Some(name) if name != token_of => {
            Err(AuthError::OfAnotherAgent { token_of, name: name.chars().take(100).collect() })
        }
        _ => {
            let agent = state.deploy.fleet().agent(&token_of).cloned();
            Ok((agent.ok_or(AuthError::UndeclaredAgent(token_of))?, grant.token))
        }
    }
}

/// Permits activating deployments. Returns the workspace and the token.
pub fn activate(state: &State, authorization: Option<&str>) -> Result<(Arc<Workspace>, TokenRef), AuthError> {
    let grant = verify(&state.tokens, authorization)?;
    let TokenScope::Activate(name) = grant.scope else { return Err(AuthError::NotActivating) };
    let workspace = state.deploy.fleet().workspace(&name).cloned();
    Ok((workspace.ok_or(AuthError::UndeclaredWorkspace(name))?, grant.token))
}

/// Verifies the token in an `Authorization` header.
pub fn verify(tokens: &Tokens, authorization: Option<&str>) -> Result<Grant, AuthError> {
    let credential = Credential::from_header(authorization).ok_or(AuthError::Missing)?;
    let grant = tokens.verify(credential.token())?;
    if traces::is_on() {
        traces::note("cache_server.token", grant.token.id().to_string());
    }
    Ok(grant)
}

fn permit(grant: &Grant, cache: &Cache, needed: TokenPermission) -> Result<TokenPermission, AuthError> {
    permit_on(grant, cache.name(), needed)
}

fn permit_on(grant: &Grant, cache: &str, needed: TokenPermission) -> Result<TokenPermission, AuthError> {
    match grant.permission_on(cache) {
        Some(permission) if permission >= needed => Ok(permission),
        _ => Err(AuthError::NotPermitted { cache: cache.to_owned(), needed: needed.as_str() }),
    }
}
