//! `POST /api/v1/deploy/activate` and `POST /api/v2/deploy/activate`.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;
use warp::reply::Reply;

use crate::deploy::activate::{ActivateError, Source, Specification};
use crate::http::error::HttpError;
use crate::http::router::{Activate, Request};
use crate::http::{Answer, body};

/// The two shapes of the answer.
#[derive(Clone, Copy)]
enum Version {
    /// Only the URLs.
    V1,
    /// Ids and URLs.
    V2,
}

#[derive(Serialize)]
struct Activated {
    id: Uuid,
    url: String,
}

/// `POST /api/v1/deploy/activate`.
pub async fn v1(request: Request<Activate>) -> Answer {
    activate(Version::V1, request).await
}

/// `POST /api/v2/deploy/activate`.
pub async fn v2(request: Request<Activate>) -> Answer {
    activate(Version::V2, request).await
}

async fn activate(version: Version, request: Request<Activate>) -> Answer {
    let Request { state, grant: (workspace, _), head, body, .. } = request;
    let host = head.host()?;
    let specification: Specification = body::json(body).await?;
    let cache = state.caches().find(&workspace.cache);
    let source = cache.as_ref().map(|cache| Source { cache, federation: &state.federation });
    let done = state.deploy.activate(&workspace, source, specification, false).await?;
    let activated = done.into_iter().map(|(agent, deployment)| {
        let id = deployment.id.0;
        let url = state.origin.url(host, &format!("/deploy/{id}"));
        (agent.name.clone(), Activated { id, url })
    });
    answer(version, activated.collect())
}

fn answer(version: Version, activated: BTreeMap<String, Activated>) -> Answer {
    let json = match version {
        Version::V1 => {
            let urls: BTreeMap<String, String> =
                activated.into_iter().map(|(name, activated)| (name, activated.url)).collect();
            json!({ "agents": urls })
        }
        Version::V2 => json!({ "agents": activated }),
    };
    Ok(warp::reply::json(&json).into_response())
}

impl From<ActivateError> for HttpError {
    fn from(error: ActivateError) -> Self {
        match error {
            ActivateError::Catalog(error) => error.into(),
            ActivateError::UnknownAgents { .. }
            | ActivateError::BadPath { .. }
            | ActivateError::BadScript { .. }
            | ActivateError::TooMany { .. }
            | ActivateError::NoCache { .. }
            | ActivateError::Missing { .. }
            | ActivateError::Unsigned { .. } => Self::new(StatusCode::BAD_REQUEST, error.to_string()),
        }
    }
}
