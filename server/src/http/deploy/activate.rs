//! `POST /api/v1/deploy/activate` and `POST /api/v2/deploy/activate`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;
use warp::Filter;
use warp::reply::Reply;

use crate::deploy::activate::{ActivateError, Source, Specification};
use crate::http::error::HttpError;
use crate::http::state::State;
use crate::http::{Answer, Route, access, body, reply};

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

pub(super) fn routes(state: &Arc<State>) -> impl Route {
    let v1 = warp::path!("api" / "v1" / "deploy" / "activate").map(|| Version::V1);
    let v2 = warp::path!("api" / "v2" / "deploy" / "activate").map(|| Version::V2);
    let state = state.clone();
    v1.or(v2)
        .unify()
        .and(warp::post())
        .and(access::authorization())
        .and(access::host())
        .and(warp::body::stream())
        .then(move |version, authorization: Option<String>, host: Option<String>, stream| {
            let state = state.clone();
            reply(async move {
                let (workspace, _) = access::activate(&state, authorization.as_deref())?;
                let specification: Specification = body::json(stream).await?;
                let cache = state.caches().find(&workspace.cache);
                let source = cache.as_ref().map(|cache| Source { cache, federation: &state.federation });
                let done = state.deploy.activate(&workspace, source, specification, false).await?;
                let activated = done.into_iter().map(|(agent, deployment)| {
                    let id = deployment.id.0;
                    let url = state.origin.url(host.as_deref(), &format!("/deploy/{id}"));
                    (agent.name.clone(), Activated { id, url })
                });
                answer(version, activated.collect())
            })
        })
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
