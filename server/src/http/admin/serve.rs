//! Turns an endpoint and its handler into a route: matches, decodes, runs the handler, encodes.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use admin_api::wire::{self, PathParameters};
use admin_api::{ApiError, EVENTS_MEDIA_TYPE, Endpoint, ErrorCode, Lines};
use bytes::{Buf, Bytes};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use tokio::sync::Mutex;
use url::Url;
use warp::path::FullPath;
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

use super::error::failure;
use crate::audit::Event;
use crate::chain::chain;
use crate::http::state::State;
use crate::http::{body, raw_query};
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

/// Returns the route of an endpoint whose reply is one JSON value.
pub(super) fn serve<E>(state: &Arc<State>, handler: impl for<'a> Handler<'a, E, E::Reply>) -> Routes
where
    E: Endpoint,
    E::Reply: Serialize,
{
    route(state, handler, |reply| warp::reply::json(&reply).into_response())
}

/// Returns the route of an endpoint whose reply is a stream of events.
pub(super) fn serve_lines<E, T>(state: &Arc<State>, handler: impl for<'a> Handler<'a, E, Events<T>>) -> Routes
where
    E: Endpoint<Reply = Lines<T>>,
    T: Serialize + Send + 'static,
{
    route(state, handler, |events| {
        let mut response = warp::reply::stream(lines(events)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS_MEDIA_TYPE));
        response
    })
}

fn route<E: Endpoint, T: 'static>(
    state: &Arc<State>,
    handler: impl for<'a> Handler<'a, E, T>,
    encode: fn(T) -> Response,
) -> Routes {
    let state = state.clone();
    let answer = move |request: Answer<E>, user: Option<PeerUser>| {
        let state = state.clone();
        async move {
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
        }
    };
    request::<E>().and(warp::ext::optional()).then(answer).boxed()
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

/// Returns a route that tries each of `routes` in turn.
pub(super) fn first_of(routes: impl IntoIterator<Item = Routes>) -> Routes {
    let nothing = warp::any().and_then(|| ready(Err::<Response, _>(warp::reject::not_found()))).boxed();
    routes.into_iter().fold(nothing, |all, next| all.or(next).unify().boxed())
}

/// Encodes a failure.
pub(super) fn refuse(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    warp::reply::with_status(warp::reply::json(error), status).into_response()
}

/// Extracts the request of an endpoint, and rejects requests of other endpoints.
fn request<E: Endpoint>()
-> impl Filter<Extract = (Answer<E>,), Error = Rejection> + Clone + Send + Sync + 'static {
    let parameters = |method: Method, path: FullPath| {
        let parameters = (method == E::METHOD).then(|| wire::match_path::<E>(path.as_str())).flatten();
        ready(parameters.ok_or_else(warp::reject::not_found))
    };
    warp::method()
        .and(warp::path::full())
        .and_then(parameters)
        .and(raw_query())
        .and(warp::body::stream())
        .then(|parameters, query, stream| decode::<E, _, _>(parameters, query, stream))
}

async fn decode<E, S, B>(parameters: PathParameters, query: String, stream: S) -> Answer<E>
where
    E: Endpoint,
    S: Stream<Item = Result<B, warp::Error>> + Send + 'static,
    B: Buf,
{
    let invalid = |message: String| failure(ErrorCode::Invalid, message, None);
    let decoded = if E::METHOD == Method::GET {
        wire::decode(parameters, &query, &[])
    } else {
        let body = body::read(body::pieces(stream), BODY_LIMIT).await;
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
