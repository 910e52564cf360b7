//! What handlers take: the request and what the router has found out about it.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;
use serde::de::DeserializeOwned;

use super::demand::Demand;
use super::site::Root;
use crate::federation::PEER_HEADER;
use crate::http::body::Body;
use crate::http::error::HttpError;
use crate::http::state::State;

/// A request that meets the demand `D` of its route. `P` are the parameters of its path.
pub struct Request<D: Demand<P>, P: Sync = ()> {
    /// What all handlers need.
    pub state: Arc<State>,
    /// The cache that the request is for; `()` on routes that belong to no cache.
    pub cache: D::On,
    /// What the check of the demand has established.
    pub grant: D::Grant,
    /// The parameters of the path.
    pub path: P,
    /// Method, target and headers.
    pub head: Head,
    /// The body, not yet read.
    pub body: Body,
}

/// Method, target and headers of a request.
pub struct Head {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The connection, for a request that may become a websocket.
    pub on_upgrade: Option<OnUpgrade>,
    /// The address of the client, as far as it is known.
    pub client: Option<IpAddr>,
    /// Which cache is at the root of the paths.
    pub root: Root,
}

impl Head {
    /// Assembles a head. `query` is empty if there is none.
    pub fn new(
        method: Method,
        path: &str,
        query: &str,
        headers: HeaderMap,
        on_upgrade: Option<OnUpgrade>,
        root: Root,
    ) -> Self {
        let mut target = path.to_owned();
        if !query.is_empty() {
            target.push('?');
            target.push_str(query);
        }
        Self { method, target, headers, on_upgrade, client: None, root }
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Whether only the headers of the reply are wanted.
    pub fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Returns the text of a header, if there is one.
    ///
    /// # Errors
    ///
    /// 400 if it is not visible ASCII.
    pub fn header(&self, name: &'static str) -> Result<Option<&str>, HttpError> {
        let text = self.headers.get(name).map(|value| value.to_str().map_err(|_| malformed(name)));
        text.transpose()
    }

    /// Returns a header with a grammar, if there is one.
    ///
    /// # Errors
    ///
    /// 400 if it does not parse.
    pub fn parsed_header<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, HttpError> {
        self.header(name)?.map(|text| text.parse().map_err(|_| malformed(name))).transpose()
    }

    /// Returns the text of the `Authorization` header, if there is one.
    ///
    /// # Errors
    ///
    /// 400 if it is not visible ASCII.
    pub fn authorization(&self) -> Result<Option<&str>, HttpError> {
        self.header("authorization")
    }

    /// Returns the text of the `Host` header, if there is one.
    ///
    /// # Errors
    ///
    /// 400 if it is not visible ASCII.
    pub fn host(&self) -> Result<Option<&str>, HttpError> {
        self.header("host")
    }

    /// Whether another node of the network sent the request for itself. Such a request is answered from this node alone:
    /// the other node searches the rest of the network by itself.
    ///
    /// # Errors
    ///
    /// 400 if the header of nodes is not visible ASCII.
    pub fn is_from_peer(&self) -> Result<bool, HttpError> {
        Ok(self.header(PEER_HEADER)?.is_some())
    }

    /// Returns the length that the body is announced with, in bytes.
    ///
    /// # Errors
    ///
    /// 400 if it is not a number.
    pub fn content_length(&self) -> Result<Option<u64>, HttpError> {
        self.parsed_header("content-length")
    }

    /// Decodes the query.
    ///
    /// # Errors
    ///
    /// 400 if a parameter is missing or malformed.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        serde_urlencoded::from_str(query)
            .map_err(|_| HttpError::bad_request("missing or malformed query parameters"))
    }
}

fn malformed(header: &str) -> HttpError {
    HttpError::bad_request(format!("malformed header `{header}`"))
}
