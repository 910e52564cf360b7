//! The head of a request as it is passed on.

use std::convert::Infallible;

use http::header::{CONNECTION, EXPECT, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER};
use http::header::{TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request};
use warp::Filter;
use warp::path::FullPath;

/// Says that a request was passed on. A client that sends it has its request answered where it arrives, and no more.
const FORWARDED: HeaderName = HeaderName::from_static("x-cache-server-forwarded");

/// Headers that are about one connection (RFC 9110 section 7.6.1), not about the message. `Expect` is answered by whoever
/// takes the body.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    EXPECT,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Method, target and headers of a request.
#[derive(Clone)]
pub struct RequestHead {
    method: Method,
    /// Path and query.
    target: String,
    headers: HeaderMap,
}

/// The head of the request at hand.
pub fn request_head() -> impl Filter<Extract = (RequestHead,), Error = Infallible> + Copy {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method().and(warp::path::full()).and(query).and(warp::header::headers_cloned()).map(
        |method, path: FullPath, query: String, headers| {
            let mut target = path.as_str().to_owned();
            if !query.is_empty() {
                target.push('?');
                target.push_str(&query);
            }
            RequestHead { method, target, headers }
        },
    )
}

impl RequestHead {
    /// Whether another daemon passed the request on.
    pub fn is_forwarded(&self) -> bool {
        self.headers.contains_key(FORWARDED)
    }

    /// The same for something of the cache by its path under the API, which leads there whatever port and host name the
    /// request came to.
    pub fn within(mut self, cache: &str, rest: &str) -> Self {
        self.target = format!("/api/v1/cache/{cache}/{rest}");
        self
    }

    /// The request to send to the daemon at this URL, which has no slash at its end.
    pub(super) fn into_request<B>(self, owner: &str, body: B) -> Result<Request<B>, http::Error> {
        let Self { method, target, mut headers } = self;
        keep_end_to_end(&mut headers);
        headers.insert(FORWARDED, HeaderValue::from_static("1"));
        let mut request = Request::builder().method(method).uri(format!("{owner}{target}")).body(body)?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Takes out what is about one connection only.
pub(super) fn keep_end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn head(target: &str, headers: &[(&'static str, &'static str)]) -> RequestHead {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        RequestHead { method: Method::PUT, target: target.to_owned(), headers }
    }

    #[test]
    fn what_is_about_the_message_is_passed_on_and_nothing_else() {
        let head = head(
            "/a%20b?c=%2F",
            &[
                ("host", "main.example.org"),
                ("authorization", "Bearer x"),
                ("content-length", "5"),
                ("connection", "close, X-Private"),
                ("x-private", "1"),
                ("transfer-encoding", "chunked"),
                ("expect", "100-continue"),
            ],
        );
        assert!(!head.is_forwarded());
        let request = head.into_request("http://a:1", ()).unwrap();
        assert_eq!(request.uri(), "http://a:1/a%20b?c=%2F");
        let mut names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "content-length", "host", "x-cache-server-forwarded"]);
    }

    #[test]
    fn a_target_on_the_host_of_a_cache_is_named_by_path_as_well() {
        assert_eq!(head("/a", &[]).within("main", "x.narinfo").target, "/api/v1/cache/main/x.narinfo");
    }
}
