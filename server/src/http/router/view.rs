//! What pages demand of those who look at them: a session, or a token in the header.

use std::sync::Arc;

use http::StatusCode;

use super::demand::Demand;
use super::request::Head;
use crate::cache::Cache;
use crate::http::error::HttpError;
use crate::http::state::State;
use crate::http::web::Visit;

/// Nothing, but the page may show more to those who have logged in.
pub struct View;

impl<P: Sync> Demand<P> for View {
    const NAME: &'static str = "View";
    type On = ();
    type Grant = Visit;

    async fn check(state: &State, (): &(), head: &Head, _: &P) -> Result<Visit, HttpError> {
        Visit::of(state, head).await
    }
}

/// Permission to read the cache that the path names. A private cache is answered like one that does not exist to all others.
pub struct ViewCache;

/// The parameters of a path below that of the pages of a cache.
pub trait OfCache: Sync {
    /// The name of the cache.
    fn cache(&self) -> &str;
}

impl OfCache for String {
    fn cache(&self) -> &str {
        self
    }
}

impl<A: Sync> OfCache for (String, A) {
    fn cache(&self) -> &str {
        &self.0
    }
}

impl<A: Sync, B: Sync> OfCache for (String, A, B) {
    fn cache(&self) -> &str {
        &self.0
    }
}

impl<P: OfCache> Demand<P> for ViewCache {
    const NAME: &'static str = "ViewCache";
    type On = ();
    type Grant = (Visit, Arc<Cache>);

    async fn check(state: &State, (): &(), head: &Head, path: &P) -> Result<Self::Grant, HttpError> {
        let visit = Visit::of(state, head).await?;
        let cache = state.find_cache(path.cache()).filter(|cache| visit.viewer.may_read(state, cache));
        let cache = cache.ok_or_else(|| {
            let message = "There is no such cache here, or it is private and you have to log in to see it.";
            HttpError::new(StatusCode::NOT_FOUND, message)
        })?;
        Ok((visit, cache))
    }
}

/// A token with the permission `admin` on all caches.
pub struct Operate;

impl<P: Sync> Demand<P> for Operate {
    const NAME: &'static str = "Operate";
    type On = ();
    type Grant = Visit;

    async fn check(state: &State, (): &(), head: &Head, _: &P) -> Result<Visit, HttpError> {
        let visit = Visit::of(state, head).await?;
        if visit.viewer.is_operator() {
            return Ok(visit);
        }
        let message =
            "This page is for operators. Log in with a token that has the permission admin on all caches.";
        Err(HttpError::new(StatusCode::UNAUTHORIZED, message))
    }
}
