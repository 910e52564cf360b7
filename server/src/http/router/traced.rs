//! Gives each request a span: its route and cache, the token it came with, and what came of it. Nothing secret: no query, which may
//! hold a signature, and no header.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;
use traces::KeyValue;
use warp::reply::Response;

use super::Router;
use super::request::Head;
use crate::cache::Cache;
use crate::http::body::Body;

/// Answers a request within a span, below that of the client if it sent one.
pub fn answer(router: Arc<Router>, path: String, head: Head, body: Body) -> BoxFuture<'static, Response> {
    let parent = traces::parent_of(&head.headers);
    let mut attributes = vec![
        KeyValue::new("http.request.method", head.method.to_string()),
        KeyValue::new("url.path", path.clone()),
    ];
    attributes.extend(head.client.map(|client| KeyValue::new("client.address", client.to_string())));
    let name = head.method.to_string();
    let answering = async move {
        let response = router.answer(&path, head, body).await;
        let status = response.status();
        traces::note("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            traces::fail(status.canonical_reason().unwrap_or_default());
        }
        response
    };
    traces::serve(name, parent, attributes, answering).boxed()
}

/// Notes the route of the request whose span is open, once it is found, and its cache.
pub fn found(method: &Method, route: &'static str, cache: Option<&Cache>) {
    if !traces::is_on() {
        return;
    }
    traces::rename(format!("{method} {route}"));
    traces::note("http.route", route);
    if let Some(cache) = cache {
        traces::note("cache_server.cache", cache.name().to_owned());
    }
}
