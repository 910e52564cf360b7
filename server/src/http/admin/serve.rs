//! Turns an endpoint and its handler into a route: matches, decodes, runs the handler, encodes.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use admin_api::wire::{self, PathParameters};
use admin_api::{ApiError, EVENTS_MEDIA_TYPE, Endpoint, ErrorCode, Lines};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use tokio::sync::Mutex;
use url::Url;
use warp::Filter;
use warp::path::FullPath;
use warp::reply::{Reply, Response};

use super::error::failure;
use crate::audit::Event;
use crate::chain::chain;
use crate::http::body::{self, Body};
use crate::http::raw_query;
use crate::http::state::State;
use crate::listeners::serve::{PeerUser, Routes};

/// The most bytes of a request body: a list of 100,000 store paths to import.
const BODY_LIMIT: usize = 8 << 20;
/// Values of a list that are recorded. Of a longer one, the length is.
const SHOWN_VALUES: usize = 20;
/// The most events that are sent at once.
const EVENTS_AT_ONCE: usize = 500;

/// What a handler returns.
pub(super) type Answer<T> = Result<T, ApiError>;

/// The events of a reply that is a stream.
pub(super) type Events<T> = BoxStream<'static, T>;

/// An `async fn(&State, Request) -> Answer<Reply>`.
pub(super) trait Handler<'a, E, T>: Copy + Send + Sync + 'static {
    /// The future that answers one request.
    type Answering: Future<Output = Answer<T>> + Send + 'a;

    /// Answers one request.
    fn answer(self, state: &'a State, request: E) -> Self::Answering;
}

impl<'a, E, T, F, A> Handler<'a, E, T> for F
where
    F: Fn(&'a State, E) -> A + Copy + Send + Sync + 'static,
    A: Future<Output = Answer<T>> + Send + 'a,
{
    type Answering = A;

    fn answer(self, state: &'a State, request: E) -> A {
        self(state, request)
    }
}

/// An endpoint with its handler. It has the same type whichever endpoint it is: with filters of their own, naming their types took the
/// compiler longer than the rest of this folder.
pub(super) struct Route {
    parameters: fn(&Method, &str) -> Option<PathParameters>,
    answer: Box<dyn Fn(Arc<State>, Incoming) -> BoxFuture<'static, Response> + Send + Sync>,
}

/// A request whose endpoint is found.
struct Incoming {
    parameters: PathParameters,
    query: String,
    body: Body,
    user: Option<PeerUser>,
}

/// Returns the route of an endpoint whose reply is one JSON value.
pub(super) fn serve<E>(handler: impl for<'a> Handler<'a, E, E::Reply>) -> Route
where
    E: Endpoint,
    E::Reply: Serialize,
{
    route(handler, |reply| warp::reply::json(&reply).into_response())
}

/// Returns the route of an endpoint whose reply is a stream of events.
pub(super) fn serve_lines<E, T>(handler: impl for<'a> Handler<'a, E, Events<T>>) -> Route
where
    E: Endpoint<Reply = Lines<T>>,
    T: Serialize + Send + 'static,
{
    route(handler, |events| {
        let mut response = warp::reply::stream(lines(events)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS_MEDIA_TYPE));
        response
    })
}

fn route<E: Endpoint, T: 'static>(
    handler: impl for<'a> Handler<'a, E, T>,
    encode: fn(T) -> Response,
) -> Route {
    let answer = move |state: Arc<State>, incoming: Incoming| {
        let answer = async move {
            let user = incoming.user;
            let request = decode::<E>(incoming).await;
            let object = request.as_ref().map(shown).unwrap_or_default();
            let answer = match request {
                Ok(request) => handler.answer(&state, request).await,
                Err(error) => Err(error),
            };
            if E::METHOD != Method::GET {
                state.audit.record(&Event {
                    uid: user.and_then(|PeerUser(uid)| uid),
                    action: format!("{} {}", E::METHOD, E::PATH),
                    object,
                    status: answer.as_ref().err().map_or(200, |error| error.code.status()),
                    ..Event::default()
                });
            }
            answer.map_or_else(|error| refuse(&error), encode)
        };
        answer.boxed()
    };
    let parameters =
        |method: &Method, path: &str| (method == E::METHOD).then(|| wire::match_path::<E>(path)).flatten();
    Route { parameters, answer: Box::new(answer) }
}

/// The parameters of a request, without secrets.
fn shown<E: Endpoint>(request: &E) -> String {
    let mut parameters = serde_json::to_value(request).unwrap_or_default();
    if let Some(parameters) = parameters.as_object_mut() {
        parameters.retain(|name, value| !value.is_null() && !name.contains("secret"));
        for value in parameters.values_mut() {
            if let Some(list) = value.as_array().filter(|list| list.len() > SHOWN_VALUES) {
                *value = format!("{} values", list.len()).into();
            } else if let Some(url) = value.as_str().and_then(without_user) {
                *value = url.into();
            }
        }
    }
    parameters.to_string()
}

/// A URL without the user and password in it; `None` if it is no URL, or has none. Such a URL is refused, and recorded all the same.
fn without_user(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    url.set_username("***").and_then(|()| url.set_password(None)).ok()?;
    Some(url.to_string())
}

/// Serves whichever of `routes` a request is for, and rejects all other requests.
pub(super) fn one_of(state: &Arc<State>, routes: impl Into<Arc<[Route]>>) -> Routes {
    let (state, routes) = (state.clone(), routes.into());
    let candidates = routes.clone();
    let find = move |method: Method, path: FullPath| {
        let parameters = |route: &Route| (route.parameters)(&method, path.as_str());
        let found = (0..).zip(candidates.iter()).find_map(|(place, route)| Some((place, parameters(route)?)));
        ready(found.ok_or_else(warp::reject::not_found))
    };
    warp::method()
        .and(warp::path::full())
        .and_then(find)
        .and(raw_query())
        .and(warp::ext::optional())
        .and(warp::body::stream())
        .then(move |(place, parameters): (usize, PathParameters), query, user, stream| {
            let incoming = Incoming { parameters, query, body: body::pieces(stream), user };
            (routes[place].answer)(state.clone(), incoming)
        })
        .boxed()
}

/// Encodes a failure.
pub(super) fn refuse(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    warp::reply::with_status(warp::reply::json(error), status).into_response()
}

async fn decode<E: Endpoint>(incoming: Incoming) -> Answer<E> {
    let Incoming { parameters, query, body, .. } = incoming;
    let invalid = |message: String| failure(ErrorCode::Invalid, message, None);
    let decoded = if E::METHOD == Method::GET {
        wire::decode(parameters, &query, &[])
    } else {
        let body = body::read(body, BODY_LIMIT).await;
        let body = body.map_err(|_| invalid("cannot read the body of the request".to_owned()))?;
        wire::decode(parameters, &query, &body)
    };
    decoded.map_err(|error| invalid(chain(&error)))
}

/// Encodes events, one per line. Events that are available at the same time go out together.
fn lines<T>(events: Events<T>) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + Sync
where
    T: Serialize + Send + 'static,
{
    let encode = |events: Vec<T>| {
        let mut text = Vec::new();
        for event in events {
            text.extend(serde_json::to_vec(&event).expect("events are plain data"));
            text.push(b'\n');
        }
        Ok(Bytes::from(text))
    };
    Exclusive(Mutex::new(events.ready_chunks(EVENTS_AT_ONCE).map(encode).boxed()))
}

/// A stream that is `Sync`, as warp requires. A poll has exclusive access to it, so the lock is never taken.
struct Exclusive<T>(Mutex<BoxStream<'static, T>>);

impl<T> Stream for Exclusive<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.get_mut().poll_next_unpin(context)
    }
}
