//! The reload of the config.

use admin_api::{ApiError, ErrorCode, Reload, Reloaded};

use super::Answer;
use super::error::failure;
use crate::chain::chain;
use crate::http::state::State;
use crate::reload::{self, ReloadError, advice};

pub(super) async fn reload(state: &State, _: Reload) -> Answer<Reloaded> {
    let reloader = state.reloader.clone();
    // Spawned, so that it completes even if the client disconnects.
    let reloading = tokio::spawn(async move { reload::reload(&reloader).await });
    reloading.await.map_err(ReloadError::Interrupted).flatten().map_err(|error| refusal(&error))
}

fn refusal(error: &ReloadError) -> ApiError {
    let code = match error {
        ReloadError::NoFile => ErrorCode::Conflict,
        error if error.is_of_the_file() => ErrorCode::Invalid,
        _ => ErrorCode::Internal,
    };
    failure(code, chain(error), advice(error).as_deref())
}
