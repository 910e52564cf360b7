//! Serves the table of routes: finds the route of a request and its cache, checks what the route demands, and calls the
//! handler. Knows nothing of what handlers do.
//!
//! | file | what |
//! |---|---|
//! | `route.rs` | a route: methods, path, demand and handler |
//! | `pattern.rs`, `parameter.rs` | path patterns and what stands in them |
//! | `site.rs` | where a route is found, and which cache a request is for |
//! | `demand.rs`, `view.rs` | what routes demand of their clients; what pages demand |
//! | `request.rs` | what handlers take |
//! | `audited.rs` | records changes in the audit log |
//! | `request_log.rs` | logs requests, or a sample of them, if that is asked for |
//! | `cross_site.rs` | refuses changes that pages of other sites cause |
//! | `hot.rs` | the shortcut for narinfo and NARs |
//! | `plain.rs`, `template.rs` | the shortcut for those that can be answered at once, in front of the parser |
//! | `traced.rs` | gives each request a span, if traces are wanted |
//!
//! Warp gives a filter no access to the request itself, only to clones of its parts. For most requests a clone of all headers
//! costs nothing that could be felt. Nearly all requests are for narinfo and NARs, however, and are answered in a few
//! microseconds. So `hot.rs` comes first and takes only the few headers that these two look at; it leads to the same checks and
//! handlers, and leaves everything that it does not recognise to the table. Filters are boxed where they meet: the compiler
//! would otherwise name each of them in the types of all that are built on it, and each request would carry the largest future
//! of them all.

mod audited;
mod cross_site;
mod demand;
mod hot;
mod parameter;
mod pattern;
mod plain;
mod request;
mod request_log;
mod route;
mod site;
mod template;
mod traced;
mod view;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use hyper::upgrade::OnUpgrade;
use warp::Filter;
use warp::path::FullPath;
use warp::reply::{Reply, Response};

use self::demand::Demand;
pub use self::demand::{
    Activate, Administer, Agent, AgentOrActivate, LogAccess, Nothing, PartUrl, Peer, Read, ReadApi, Write,
};
pub use self::parameter::{FileName, OtherName, PathHash};
use self::pattern::Values;
use self::plain::Plain;
pub use self::request::{Head, Request};
use self::request_log::Line;
use self::route::Incoming;
pub use self::route::{Route, form, get, get_only, page, post, put};
use self::site::CACHES;
pub use self::site::{Root, Site};
pub use self::view::{Operate, View, ViewCache};
use super::access;
use super::body::{self, Body};
use super::error::HttpError;
use super::raw_query;
use super::state::State;
use crate::cache::Cache;
use crate::counters::requests::{self, UNMATCHED, WITHOUT_CACHE};
use crate::limits::client_address::{PeerAddress, client_of};
use crate::listeners::serve::Served;
use crate::observe::metrics::RouteName;

/// The routes by their sites.
pub struct Table {
    server: Vec<Route>,
    api: Vec<Route>,
    cache: Vec<Route>,
}

impl Table {
    /// Sorts the routes by their sites.
    pub fn new(routes: Vec<Route>) -> Self {
        let mut table = Self { server: Vec::new(), api: Vec::new(), cache: Vec::new() };
        assert!(routes.len() <= UNMATCHED, "there is a counter for every route");
        for (number, mut route) in routes.into_iter().enumerate() {
            route.number = number;
            match route.site {
                Site::Server => table.server.push(route),
                Site::Api => table.api.push(route),
                Site::Cache => table.cache.push(route),
            }
        }
        table
    }
}

impl Table {
    fn all(&self) -> impl Iterator<Item = &Route> {
        self.server.iter().chain(&self.api).chain(&self.cache)
    }

    /// The routes as the metrics name them, by their numbers.
    pub fn names(&self) -> Vec<RouteName> {
        let name = |route: &Route| RouteName {
            path: route.path,
            method: route.methods[0].as_str(),
            is_of_cache: route.site != Site::Server,
        };
        let mut routes: Vec<&Route> = self.all().collect();
        routes.sort_by_key(|route| route.number);
        routes.into_iter().map(name).collect()
    }

    /// The number of the route with this path that takes `GET`.
    fn number_of(&self, path: &str) -> usize {
        let route = self.all().find(|route| route.path == path && route.methods.contains(&Method::GET));
        route.map_or(UNMATCHED, |route| route.number)
    }
}

/// Makes what serves the table on a listener.
pub fn serve(table: &Arc<Table>, state: &Arc<State>, root: Root) -> Served {
    let router = Arc::new(Router { table: table.clone(), state: state.clone(), root });
    let everything = warp::method()
        .and(warp::path::full())
        .and(raw_query())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::ext::optional::<PeerAddress>())
        .and(warp::body::stream())
        .then(
            move |method: Method,
                  path: FullPath,
                  query: String,
                  headers: HeaderMap,
                  on_upgrade: Option<OnUpgrade>,
                  peer: Option<PeerAddress>,
                  stream| {
                let mut head = Head::new(method, path.as_str(), &query, headers, on_upgrade, root);
                head.client = router.client_of(peer, &head);
                match traces::is_on() {
                    true => {
                        traced::answer(router.clone(), path.as_str().to_owned(), head, body::pieces(stream))
                    }
                    false => router.answer(path.as_str(), head, body::pieces(stream)),
                }
            },
        )
        .boxed();
    if traces::is_on() {
        // The shortcuts make no spans.
        return Served { routes: everything, shortcut: None };
    }
    let numbers = hot::Numbers::of(table);
    Served {
        routes: hot::before(everything, state, root, numbers),
        shortcut: Some(Arc::new(Plain::new(state.clone(), root, numbers))),
    }
}

/// Serves the table on one listener.
struct Router {
    table: Arc<Table>,
    state: Arc<State>,
    root: Root,
}

/// A route, the parameters in the path, and the cache that the request is for.
type Target<'r, 'p> = (&'r Route, Values<'p>, Option<Arc<Cache>>);

impl Router {
    /// The address of the client, behind proxies that are trusted.
    fn client_of(&self, peer: Option<PeerAddress>, head: &Head) -> Option<IpAddr> {
        let forwarded = head.header("x-forwarded-for").ok().flatten();
        let PeerAddress(peer) = peer?;
        Some(client_of(peer, forwarded, &self.state.config().server.trusted_proxies))
    }

    fn answer(&self, path: &str, head: Head, body: Body) -> BoxFuture<'static, Response> {
        let begun = Instant::now();
        let line = Line::begin(&head.method, path, head.client);
        let found = cross_site::check(&head.method, &head.headers).and_then(|()| self.find(path, &head));
        match found {
            Ok((route, values, cache)) => {
                traced::found(&head.method, route.path, cache.as_deref());
                tracing::trace!(route = route.path, demand = route.demand, "found the route of a request");
                let audited = audited::begin(&self.state, route, cache.as_deref().map(Cache::name), &head);
                let (number, of) = (route.number, cache.clone());
                let answering =
                    route.answer(Incoming { state: self.state.clone(), cache, head, body }, &values);
                answering
                    .map(move |mut response| {
                        if let Some(audited) = audited {
                            audited.end(&mut response);
                        }
                        let counters = of.as_ref().map_or(&WITHOUT_CACHE, |cache| &cache.counters.requests);
                        requests::note(counters, number, response.status(), begun);
                        if let Some(line) = line {
                            line.end(of.as_deref(), response.status());
                        }
                        response
                    })
                    .boxed()
            }
            Err(error) => {
                let response = error.into_response();
                audited::refuse(&self.state, &head, &response);
                requests::note(&WITHOUT_CACHE, UNMATCHED, response.status(), begun);
                if let Some(line) = line {
                    line.end(None, response.status());
                }
                std::future::ready(response).boxed()
            }
        }
    }

    /// Finds the route and the cache of a request. Whether the client may know of the cache is decided before whether the path
    /// exists.
    fn find<'p>(&self, path: &'p str, head: &Head) -> Result<Target<'_, 'p>, HttpError> {
        let Table { server, api, cache: of_caches } = &*self.table;
        if let Some(below) = path.strip_prefix(CACHES) {
            let (name, path) = below.split_once('/').unwrap_or((below, ""));
            if name.is_empty() {
                return Err(HttpError::not_found());
            }
            let cache = self.state.find_cache(name);
            let found = find_route(api.iter().chain(of_caches), &head.method, path);
            let cache = match (cache, &found) {
                (Some(cache), Ok((route, _))) if route.demand == PartUrl::NAME => cache,
                (None, Ok((route, _))) if route.demand == PartUrl::NAME => {
                    return Err(HttpError::invalid_part_url());
                }
                (cache, _) => {
                    access::know(&self.state, name, cache.as_deref(), head.authorization()?)?;
                    cache.ok_or_else(|| HttpError::unknown_cache(name))?
                }
            };
            let (route, values) = found?;
            return Ok((route, values, Some(cache)));
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        match find_route(server, &head.method, path) {
            Err(NoRoute::Unknown) => {}
            found => {
                let (route, values) = found?;
                return Ok((route, values, None));
            }
        }
        let host = head.host()?;
        let cache = self.root.find_cache(&self.state, host);
        let authorization = head.authorization()?;
        let cache = cache.ok_or_else(|| self.root.no_cache(&self.state, host, authorization))?;
        access::read(&self.state, &cache, authorization)?;
        let (route, values) = find_route(of_caches, &head.method, path)?;
        Ok((route, values, Some(cache)))
    }
}

/// Why there is no route for a request.
enum NoRoute {
    /// No route has this path.
    Unknown,
    /// The routes of this path are for other methods.
    OtherMethod,
}

impl From<NoRoute> for HttpError {
    fn from(reason: NoRoute) -> Self {
        match reason {
            NoRoute::Unknown => Self::not_found(),
            NoRoute::OtherMethod => {
                Self::new(StatusCode::METHOD_NOT_ALLOWED, "this method is not supported here")
            }
        }
    }
}

fn find_route<'r, 'p>(
    routes: impl IntoIterator<Item = &'r Route>,
    method: &Method,
    path: &'p str,
) -> Result<(&'r Route, Values<'p>), NoRoute> {
    let mut reason = NoRoute::Unknown;
    for route in routes {
        let Some(values) = route.find(path) else { continue };
        if route.methods.contains(method) {
            return Ok((route, values));
        }
        reason = NoRoute::OtherMethod;
    }
    Err(reason)
}
