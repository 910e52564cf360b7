//! Where routes are found, and which cache a request is for: by its path under the API, by its host name, or by the port it
//! came to.

use std::sync::Arc;

use crate::cache::Cache;
use crate::http::access;
use crate::http::error::HttpError;
use crate::http::state::State;
use crate::listeners::Entrance;

/// Where a cache is found by its name.
pub const CACHES: &str = "/api/v1/cache/";

/// Where a route is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// At its path, on every port and for every host name.
    Server,
    /// At its path, which begins with `/api/v1/cache/{cache}`, on every port and for every host name.
    Api,
    /// At its path on the host name and on the own port of each cache, and below `/api/v1/cache/{cache}` as well.
    Cache,
}

/// Which cache, if any, a listener serves at the root of its paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The one that the first label of the host name names, as in `NAME.HOST`.
    ByHost,
    /// The one that has this port to itself. A reload may have taken the port away a moment ago.
    ByPort(u16),
}

impl Root {
    /// Returns the root of the listener of clients. The others have none.
    pub fn of(entrance: Entrance) -> Option<Self> {
        match entrance {
            Entrance::Api => Some(Self::ByHost),
            Entrance::Cache(port) => Some(Self::ByPort(port)),
            Entrance::Admin | Entrance::Metrics => None,
        }
    }

    /// Finds the cache at the root for a request with this `Host` header.
    pub fn find_cache(self, state: &State, host: Option<&str>) -> Option<Arc<Cache>> {
        match self {
            Self::ByHost => state.find_cache_by_host(host?),
            Self::ByPort(port) => state.find_cache_by_port(port),
        }
    }

    /// The reply to a request for which [`Root::find_cache`] finds no cache. A host name that a cache could have is answered as
    /// that of a private cache is.
    pub fn no_cache(self, state: &State, host: Option<&str>, authorization: Option<&str>) -> HttpError {
        let name = host.filter(|_| self == Self::ByHost).and_then(|host| state.cache_name_of_host(host));
        match name.map(|name| access::know(state, &name, None, authorization)) {
            Some(Err(error)) => error.into(),
            Some(Ok(())) | None => HttpError::not_found(),
        }
    }
}
