//! What is served on `server.metrics-address`: the metrics, and the health besides.

use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use subtle::ConstantTimeEq;
use warp::Filter;
use warp::path::FullPath;
use warp::reply::{Reply, Response};

use super::error::HttpError;
use super::state::State;
use super::{Answer, health};
use crate::auth::{AuthError, Credential};
use crate::cache::blocking;
use crate::listeners::serve::Routes;
use crate::observe::metrics::{Figures, Format, RouteName, Subjects, scrape};

/// What scrapes need besides the state of the daemon.
pub struct Metrics {
    routes: Vec<RouteName>,
    figures: Figures,
}

impl Metrics {
    /// Prepares to show requests by these routes.
    pub fn new(routes: Vec<RouteName>) -> Self {
        Self { routes, figures: Figures::default() }
    }
}

/// Makes the filter for the listener.
pub fn routes(state: &Arc<State>, metrics: &Arc<Metrics>) -> Routes {
    let (state, metrics) = (state.clone(), metrics.clone());
    let request = warp::method().and(warp::path::full()).and(warp::header::headers_cloned());
    request
        .then(move |method: Method, path: FullPath, headers: HeaderMap| {
            let (state, metrics) = (state.clone(), metrics.clone());
            super::reply(async move { answer(&state, &metrics, &method, path.as_str(), &headers).await })
        })
        .boxed()
}

async fn answer(
    state: &State,
    metrics: &Metrics,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Answer {
    if let Some(health) = health::answer(state, path) {
        return Ok(health);
    }
    if path != "/metrics" {
        return Err(HttpError::not_found());
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not supported here"));
    }
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    authorize(state, header(AUTHORIZATION)).await?;
    let format = Format::of(header(ACCEPT));
    let subjects = Subjects {
        core: &state.core,
        workers: &state.workers,
        listeners: &state.listeners,
        routes: &metrics.routes,
        figures: &metrics.figures,
    };
    let mut response: Response = scrape(&subjects, format).await.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Compares the credential with `metrics-token`, if there is one. Its file is read each time, so that it can be replaced.
async fn authorize(state: &State, authorization: Option<&str>) -> Result<(), HttpError> {
    let Some(source) = state.config().server.metrics_token.clone() else { return Ok(()) };
    let expected = blocking(move || source.resolve()).await?.map_err(|error| HttpError::internal(&error))?;
    let given = Credential::from_header(authorization).ok_or(AuthError::Missing)?;
    let is_right: bool = given.token().as_bytes().ct_eq(expected.expose().as_bytes()).into();
    if is_right { Ok(()) } else { Err(AuthError::Invalid.into()) }
}
