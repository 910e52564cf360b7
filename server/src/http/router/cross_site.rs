//! Refuses changes that a page of another site makes a browser send.
//!
//! A browser sends the password that it keeps for a host along with every request to it, whichever page asks. `Bearer` tokens
//! are out of reach of such pages, so only requests with `Basic` credentials are looked at.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use crate::http::error::HttpError;

/// The types of the bodies that a form can send to any host without asking it first (Fetch standard, "CORS-safelisted").
const FORMS: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// Refuses the request if it changes something and may come from a page of another site.
///
/// # Errors
///
/// 403 if so.
pub fn check(method: &Method, headers: &HeaderMap) -> Result<(), HttpError> {
    let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if is_read || !has_basic_credentials(headers) {
        return Ok(());
    }
    let refuse = |why: &str| {
        Err(HttpError::new(
            StatusCode::FORBIDDEN,
            format!("{why}; send the token as `Authorization: Bearer`"),
        ))
    };
    if is_from_another_site(headers) {
        return refuse("a page of another site may change nothing here");
    }
    if *method == Method::POST && is_form(headers) {
        return refuse("this could be the form of any page");
    }
    Ok(())
}

fn has_basic_credentials(headers: &HeaderMap) -> bool {
    let scheme = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().get(..5));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
}

/// Whether the request names an origin, and it is another host than this one.
fn is_from_another_site(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let Some(origin) = text(ORIGIN) else { return false };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_none() || host != text(HOST)
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim();
    FORMS.iter().any(|form| essence.eq_ignore_ascii_case(form))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect::<HeaderMap>()
    }

    fn passes(method: Method, pairs: &[(&str, &str)]) -> bool {
        let mut all = vec![("host", "cache.example.org")];
        all.extend(pairs);
        check(&method, &headers(&all)).is_ok()
    }

    #[test]
    fn pages_of_other_sites_change_nothing_with_a_stored_password() {
        let basic = ("authorization", "Basic eDp5");
        for origin in ["https://evil.example", "null", "https://cache.example.org:8443", ""] {
            assert!(!passes(Method::POST, &[basic, ("origin", origin)]), "{origin}");
            assert!(!passes(Method::PUT, &[basic, ("origin", origin)]), "{origin}");
            assert!(passes(Method::GET, &[basic, ("origin", origin)]));
            assert!(passes(Method::POST, &[("authorization", "Bearer x"), ("origin", origin)]));
        }
        for form in FORMS {
            assert!(!passes(Method::POST, &[basic, ("content-type", form)]), "{form}");
        }
        assert!(!passes(
            Method::POST,
            &[("authorization", "basic x"), ("content-type", "Text/Plain;charset=x")]
        ));
    }

    #[test]
    fn clients_of_nix_are_let_through() {
        let basic = ("authorization", "Basic eDp5");
        assert!(passes(Method::POST, &[basic]));
        assert!(passes(Method::POST, &[basic, ("content-type", "application/json")]));
        assert!(passes(Method::POST, &[basic, ("origin", "https://cache.example.org")]));
        // `nix store copy-log`; a form cannot send it.
        assert!(passes(Method::PUT, &[basic, ("content-type", "text/plain; charset=utf-8")]));
    }
}
