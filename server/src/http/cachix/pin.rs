//! `POST /api/v1/cache/NAME/pin`: pins a path under a name.

use catalog::{Keep, NewPin, PinOutcome};
use http::StatusCode;
use nix_formats::StorePath;
use serde::Deserialize;

use crate::http::error::HttpError;
use crate::http::router::{Request, Write};
use crate::http::{Answer, body, done};

/// Longest name of a pin.
const NAME_LIMIT: usize = 255;
/// Most artifacts of a pin.
const ARTIFACT_LIMIT: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PinCreate {
    name: String,
    store_path: String,
    artifacts: Vec<String>,
    keep: Option<KeepPolicy>,
}

#[derive(Deserialize)]
#[serde(tag = "tag", content = "contents")]
enum KeepPolicy {
    Days(u32),
    Revisions(u32),
    Forever,
}

/// `POST …/pin`.
pub async fn create(request: Request<Write>) -> Answer {
    let Request { state, cache, body, .. } = request;
    let pin: PinCreate = body::json(body).await?;
    let path = StorePath::from_full_path(&pin.store_path)
        .map_err(|error| HttpError::bad_request(format!("storePath: {error}")))?;
    if pin.name.is_empty() || pin.name.len() > NAME_LIMIT || pin.name.chars().any(char::is_control) {
        return Err(HttpError::bad_request("name: expected 1 to 255 bytes without control characters"));
    }
    if pin.artifacts.len() > ARTIFACT_LIMIT {
        return Err(HttpError::bad_request(format!("artifacts: at most {ARTIFACT_LIMIT}")));
    }
    let object = format!("{} as {}", path.to_full_path(), pin.name);
    let new = NewPin {
        cache: cache.id,
        name: pin.name,
        path: *path.hash(),
        artifacts: pin.artifacts,
        keep: match pin.keep {
            None => Keep::All,
            Some(KeepPolicy::Days(0) | KeepPolicy::Revisions(0)) => {
                return Err(HttpError::bad_request("keep: must be at least 1"));
            }
            Some(KeepPolicy::Days(days)) => Keep::Days(days),
            Some(KeepPolicy::Revisions(revisions)) => Keep::Revisions(revisions),
            Some(KeepPolicy::Forever) => Keep::Forever,
        },
    };
    match state.catalog.add_pin(new).await? {
        PinOutcome::Added { .. } => Ok(done(object)),
        PinOutcome::UnknownPath => Err(HttpError::new(
            StatusCode::NOT_FOUND,
            format!("cache `{}` does not hold {}; push it first", cache.name(), path.to_full_path()),
        )),
    }
}
