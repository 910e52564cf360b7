//! What holds for every request and every reply of the ports, whatever route they belong to.

use http::header::{CONNECTION, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Request, StatusCode};
use warp::reply::Response;

use super::serve::failure;

/// No reply but our own pages runs, loads or embeds anything.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox; base-uri 'none'");
/// Our own pages load nothing but what this server has, and run nothing that stands in the page itself.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// Whether two servers may take the request for one to two different sites, because it names two hosts.
///
/// Requests whose length or line ends are ambiguous do not come this far: see [`http_framing`].
pub fn is_ambiguous<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return true;
    }
    if let Some(authority) = request.uri().authority() {
        let is_same =
            |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
        return !host.is_some_and(is_same);
    }
    false
}

/// Gives a request of HTTP/2 the `Host` header that HTTP/1.1 has: there the pseudo-header `:authority` names the host
/// (RFC 9113, section 8.3.1). One that has both is left as it is, for [`is_ambiguous`] to compare them.
pub fn name_host<B>(request: &mut Request<B>) {
    if request.headers().contains_key(HOST) {
        return;
    }
    let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(host)) = authority {
        request.headers_mut().insert(HOST, host);
    }
}

/// The reply to such a request. Nothing more is read from its connection.
pub fn refusal() -> Response {
    let mut response = failure(StatusCode::BAD_REQUEST, "the request names two hosts");
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Marks a reply that is one of our own pages.
#[derive(Clone, Copy, Debug)]
pub struct OwnPage;

/// Tells browsers to take the reply for nothing but what its type says.
pub fn protect(response: &mut Response) {
    let is_page = response.extensions().get::<OwnPage>().is_some();
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    if is_page {
        headers.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
        headers.insert(REFERRER_POLICY, SAME_ORIGIN);
    } else {
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(REFERRER_POLICY, NO_REFERRER);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let request =
            headers.iter().fold(Request::get(target), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap()
    }

    #[test]
    fn a_request_names_one_host() {
        let host = ("host", "a.example");
        assert!(!is_ambiguous(&request("/", &[host])));
        assert!(!is_ambiguous(&request("/", &[])));
        assert!(!is_ambiguous(&request("http://A.example/x", &[host])));
        assert!(is_ambiguous(&request("/", &[host, host])));
        assert!(is_ambiguous(&request("http://b.example/x", &[host])));
        assert!(is_ambiguous(&request("http://a.example/x", &[])));
    }

    #[test]
    fn the_authority_of_http2_is_its_host() {
        let named = |target: &str, headers: &[(&str, &str)]| {
            let mut request = request(target, headers);
            name_host(&mut request);
            (is_ambiguous(&request), request.headers().get(HOST).cloned())
        };
        let host = |text| Some(HeaderValue::from_static(text));
        assert_eq!(named("https://a.example:1/x", &[]), (false, host("a.example:1")));
        assert_eq!(named("https://a.example/x", &[("host", "A.example")]), (false, host("A.example")));
        assert!(named("https://a.example/x", &[("host", "b.example")]).0);
        assert_eq!(named("/x", &[]), (false, None));
    }
}
