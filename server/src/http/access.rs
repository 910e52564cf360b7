//! Who may call what.

use catalog::TokenPermission;
use warp::{Filter, Rejection};

use crate::auth::{AuthError, Credential, Grant, Tokens};
use crate::cache::Cache;

/// The text of the `Authorization` header, if there is one.
pub fn authorization() -> impl Filter<Extract = (Option<String>,), Error = Rejection> + Copy {
    warp::header::optional::<String>("authorization")
}

/// Permits reading what Nix reads. On a public cache a credential that does not fit counts as none: netrc knows hosts
/// but not ports or paths, so Nix sends the token of one cache to all caches on its host.
pub fn read(tokens: &Tokens, cache: &Cache, authorization: Option<&str>) -> Result<(), AuthError> {
    if cache.is_public() {
        return Ok(());
    }
    grant(tokens, cache, authorization, TokenPermission::Read)?;
    Ok(())
}

/// Permits reading through the API. Here a credential that does not fit is an error even on a public cache: its owner
/// should learn about it before a push fails. `None` is an anonymous reader of a public cache.
pub fn read_api(
    tokens: &Tokens,
    cache: &Cache,
    authorization: Option<&str>,
) -> Result<Option<Grant>, AuthError> {
    match grant(tokens, cache, authorization, TokenPermission::Read) {
        Err(AuthError::Missing) if cache.is_public() => Ok(None),
        Err(error) => Err(error),
        Ok(grant) => Ok(Some(grant)),
    }
}

/// Permits changing a cache.
pub fn write(tokens: &Tokens, cache: &Cache, authorization: Option<&str>) -> Result<(), AuthError> {
    grant(tokens, cache, authorization, TokenPermission::Write)?;
    Ok(())
}

fn grant(
    tokens: &Tokens,
    cache: &Cache,
    authorization: Option<&str>,
    needed: TokenPermission,
) -> Result<Grant, AuthError> {
    let credential = Credential::from_header(authorization).ok_or(AuthError::Missing)?;
    let grant = tokens.verify(credential.token())?;
    if grant.permits(cache.name(), needed) {
        Ok(grant)
    } else {
        Err(AuthError::NotPermitted { cache: cache.name().to_owned(), needed: needed.as_str() })
    }
}
