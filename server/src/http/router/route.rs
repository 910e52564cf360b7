//! One route: methods, path, demand and handler.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;
use warp::reply::Response;

use super::demand::{Demand, Place};
use super::parameter::Parameters;
use super::pattern::{Pattern, Values};
use super::request::{Head, Request};
use super::site::{CACHES, Site};
use crate::cache::Cache;
use crate::http::body::Body;
use crate::http::error::HttpError;
use crate::http::state::State;
use crate::http::web::{self, Surroundings};
use crate::http::{Answer, reply};

static GET_AND_HEAD: [Method; 2] = [Method::GET, Method::HEAD];
static GET: [Method; 1] = [Method::GET];
static POST: [Method; 1] = [Method::POST];
static PUT: [Method; 1] = [Method::PUT];

/// A route for `GET` and `HEAD`.
pub fn get<D, P, H, F>(site: Site, path: &'static str, demand: D, handler: H) -> Route
where
    D: Demand<P>,
    P: Parameters,
    H: Fn(Request<D, P>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    Route::new(&GET_AND_HEAD, site, path, demand, handler, false)
}

/// A route for `GET` and `HEAD` of a page. Refusals and errors are pages too, and pages have slots of their own.
pub fn page<D, P, H, F>(path: &'static str, demand: D, handler: H) -> Route
where
    D: Demand<P>,
    P: Parameters,
    H: Fn(Request<D, P>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    Route::new(&GET_AND_HEAD, Site::Server, path, demand, handler, true)
}

/// A route for a form of a page, which is answered with a page.
pub fn form<D, P, H, F>(path: &'static str, demand: D, handler: H) -> Route
where
    D: Demand<P>,
    P: Parameters,
    H: Fn(Request<D, P>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    Route::new(&POST, Site::Server, path, demand, handler, true)
}

/// A route for `GET` alone.
pub fn get_only<D, P, H, F>(site: Site, path: &'static str, demand: D, handler: H) -> Route
where
    D: Demand<P>,
    P: Parameters,
    H: Fn(Request<D, P>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    Route::new(&GET, site, path, demand, handler, false)
}

/// A route for `POST`.
pub fn post<D, P, H, F>(site: Site, path: &'static str, demand: D, handler: H) -> Route
where
    D: Demand<P>,
    P: Parameters,
    H: Fn(Request<D, P>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    Route::new(&POST, site, path, demand, handler, false)
}

/// A route for `PUT`.
pub fn put<D, P, H, F>(site: Site, path: &'static str, demand: D, handler: H) -> Route
where
    D: Demand<P>,
    P: Parameters,
    H: Fn(Request<D, P>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    Route::new(&PUT, site, path, demand, handler, false)
}

/// A route of the table.
pub struct Route {
    pub methods: &'static [Method],
    pub site: Site,
    pub path: &'static str,
    /// The name of its demand.
    pub demand: &'static str,
    /// Its place in the table, under which its requests are counted.
    pub number: usize,
    pattern: Pattern,
    /// Whether errors are pages, too.
    is_page: bool,
    endpoint: Box<dyn Endpoint>,
}

impl Route {
    fn new<D, P, H, F>(
        methods: &'static [Method],
        site: Site,
        path: &'static str,
        _demand: D,
        handler: H,
        is_page: bool,
    ) -> Self
    where
        D: Demand<P>,
        P: Parameters,
        H: Fn(Request<D, P>) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let pattern = Pattern::parse(below_site(site, path)).expect("patterns of the table are well-formed");
        assert_eq!(pattern.parameters(), P::COUNT, "the handler of {path} takes its parameters");
        assert!(site != Site::Server || !D::On::IS_CACHE, "{path} belongs to no cache");
        let endpoint = Box::new(Handler { handler: Arc::new(handler), takes: PhantomData });
        Self { methods, site, path, demand: D::NAME, number: 0, pattern, is_page, endpoint }
    }

    /// Matches a path, given from its site on and without the slash in front.
    pub fn find<'p>(&self, path: &'p str) -> Option<Values<'p>> {
        self.pattern.find(path).filter(|values| self.endpoint.accepts(values))
    }

    /// Checks the demand and has the handler answer.
    pub fn answer(&self, incoming: Incoming, values: &Values<'_>) -> BoxFuture<'static, Response> {
        if !self.is_page {
            return reply(self.endpoint.answer(incoming, values)).boxed();
        }
        let surroundings = Surroundings::of(&incoming.state, &incoming.head);
        let client = incoming.head.client;
        let answer = self.endpoint.answer(incoming, values);
        let answer = async move {
            let _turn = web::turn(client).await?;
            answer.await
        };
        answer.map(move |answer| surroundings.finish(answer)).boxed()
    }
}

/// The part of a path that a site does not determine.
fn below_site(site: Site, path: &'static str) -> &'static str {
    if site != Site::Api {
        return path;
    }
    let below = path.strip_prefix(CACHES).and_then(|below| below.strip_prefix("{cache}"));
    match below.expect("a path of the API begins with `/api/v1/cache/{cache}`") {
        "" => "/",
        below => below,
    }
}

/// A request whose route is found.
pub struct Incoming {
    pub state: Arc<State>,
    /// The cache that it is for, on the sites of caches.
    pub cache: Option<Arc<Cache>>,
    pub head: Head,
    pub body: Body,
}

/// A handler, whatever it takes.
trait Endpoint: Send + Sync {
    /// Whether the parameters parse.
    fn accepts(&self, values: &Values<'_>) -> bool;

    fn answer(&self, incoming: Incoming, values: &Values<'_>) -> BoxFuture<'static, Answer>;
}

struct Handler<D, P, H> {
    handler: Arc<H>,
    takes: PhantomData<fn(D, P)>,
}

impl<D, P, H, F> Endpoint for Handler<D, P, H>
where
    D: Demand<P>,
    P: Parameters,
    H: Fn(Request<D, P>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    fn accepts(&self, values: &Values<'_>) -> bool {
        P::parse(values).is_some()
    }

    fn answer(&self, incoming: Incoming, values: &Values<'_>) -> BoxFuture<'static, Answer> {
        let (handler, path) = (self.handler.clone(), P::parse(values));
        async move { handler(admit(incoming, path).await?).await }.boxed()
    }
}

/// Checks the demand of a route.
async fn admit<D, P>(incoming: Incoming, path: Option<P>) -> Result<Request<D, P>, HttpError>
where
    D: Demand<P>,
    P: Parameters,
{
    let Incoming { state, cache, head, body } = incoming;
    let path = path.ok_or_else(HttpError::not_found)?;
    let cache = D::On::of(cache).ok_or_else(HttpError::not_found)?;
    let grant = D::check(&state, &cache, &head, &path).await?;
    Ok(Request { state, cache, grant, path, head, body })
}
