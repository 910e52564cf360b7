//! The failures of the admin API.

use admin_api::{ApiError, ErrorCode};
use catalog::CatalogError;

use crate::chain::chain;
use crate::core::Core;
use crate::http::state::State;

/// Returns a failure with this text and, if a person can act, a hint.
pub fn failure(code: ErrorCode, message: impl Into<String>, hint: Option<&str>) -> ApiError {
    ApiError { code, message: message.into(), hint: hint.map(str::to_owned) }
}

/// There is no cache of this name.
pub fn unknown_cache(state: &State, name: &str) -> ApiError {
    let caches = state.caches();
    ApiError::unknown("cache", name, caches.iter().map(|cache| cache.name()))
}

/// There is no deploy workspace of this name.
pub fn unknown_workspace(core: &Core, name: &str) -> ApiError {
    ApiError::unknown("workspace", name, core.deploy.fleet().workspaces().map(|known| known.name.as_str()))
}

/// There is no deploy agent of this name.
pub fn unknown_agent(core: &Core, name: &str) -> ApiError {
    ApiError::unknown("agent", name, core.deploy.fleet().agents().map(|known| known.name.as_str()))
}

/// Something inside failed. An operator may see what.
pub fn internal(error: &(dyn std::error::Error + 'static)) -> ApiError {
    let text = chain(error);
    if is_temporary(error) {
        tracing::warn!(error = text, "an admin request failed because the catalog is unavailable");
        return failure(
            ErrorCode::Unavailable,
            text,
            Some("nothing was changed; repeat the command once the catalog is available"),
        );
    }
    tracing::error!(error = text, "an admin request failed");
    failure(ErrorCode::Internal, text, Some("the daemon's log may say more"))
}

/// Whether the catalog is unavailable for now, for example because its disk is full.
fn is_temporary(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<CatalogError>().is_some_and(CatalogError::is_temporary) {
            return true;
        }
        cause = error.source();
    }
    false
}
