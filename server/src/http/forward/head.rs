//! The head of a request as it is passed on.

use http::header::{CONNECTION, EXPECT, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER};
use http::header::{TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request};

use crate::http::router::Head;

/// Marks a request that was passed on. It is answered where it arrives, so that no request goes in circles.
const FORWARDED: HeaderName = HeaderName::from_static("x-cache-server-forwarded");

/// Headers that are about one connection (RFC 9110 section 7.6.1), not about the message. `Expect` is answered by the daemon
/// that reads the body.
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

/// Whether another daemon passed the request on.
pub fn is_forwarded(head: &Head) -> bool {
    head.headers.contains_key(FORWARDED)
}

/// Method, target and headers of a request that is passed on.
#[derive(Clone)]
pub struct ForwardedHead {
    method: Method,
    /// Path and query.
    target: String,
    headers: HeaderMap,
}

impl ForwardedHead {
    /// The same request.
    pub fn of(head: Head) -> Self {
        Self { method: head.method, target: head.target, headers: head.headers }
    }

    /// The same request for a file of the cache, named by its path under the API. That path leads to the file whatever port
    /// and host name the request came to.
    pub fn of_file(head: Head, cache: &str, file: &str) -> Self {
        Self { target: format!("/api/v1/cache/{cache}/{file}"), ..Self::of(head) }
    }

    /// Makes the request to send to the daemon at the URL `owner`, which has no slash at its end.
    pub(super) fn into_request<B>(self, owner: &str, body: B) -> Result<Request<B>, http::Error> {
        let Self { method, target, mut headers } = self;
        keep_end_to_end(&mut headers);
        headers.insert(FORWARDED, HeaderValue::from_static("1"));
        traces::inject(&mut headers);
        let mut request = Request::builder().method(method).uri(format!("{owner}{target}")).body(body)?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Removes the headers that are about one connection only.
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
    use crate::http::router::Root;

    fn head(target: &str, headers: &[(&'static str, &'static str)]) -> Head {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Head::new(Method::PUT, path, query, headers, None, Root::ByHost)
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
        assert!(!is_forwarded(&head));
        let request = ForwardedHead::of(head).into_request("http://a:1", ()).unwrap();
        assert_eq!(request.uri(), "http://a:1/a%20b?c=%2F");
        let mut names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "content-length", "host", "x-cache-server-forwarded"]);
    }

    #[test]
    fn a_target_on_the_host_of_a_cache_is_named_by_path_as_well() {
        let head = ForwardedHead::of_file(head("/a", &[]), "main", "x.narinfo");
        assert_eq!(head.target, "/api/v1/cache/main/x.narinfo");
    }
}
