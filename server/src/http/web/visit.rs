//! One look at a page: where it is, and who looks.

use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::{Reply, Response};

use super::layout::{self, Page};
use super::viewer::Viewer;
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::router::Head;
use crate::http::state::State;

/// Where a page is, as far as its links depend on it.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The relative URL of `/`.
    root: String,
    /// The host name that was asked, for people.
    pub host: String,
    /// Path and query, to come back to.
    pub here: String,
    /// Whether pages are switched off, so that errors are plain text.
    is_plain: bool,
}

impl Surroundings {
    /// Reads the head of a request.
    pub fn of(state: &State, head: &Head) -> Self {
        let depth = head.path().matches('/').count().saturating_sub(1);
        Self {
            root: if depth == 0 { "./".to_owned() } else { "../".repeat(depth) },
            host: head.host().ok().flatten().unwrap_or("this server").to_owned(),
            here: head.target.clone(),
            is_plain: !state.config().server.web_pages,
        }
    }

    /// The relative URL of a path, which is given without the slash in front.
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    /// Makes a page of an error.
    pub fn finish(&self, answer: Answer) -> Response {
        let error = match answer {
            Ok(response) => return response,
            Err(error) if self.is_plain => return error.into_response(),
            Err(error) => error,
        };
        let (status, message) = error.parts();
        let mut response = layout::failure(self, status, message);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
        }
        response
    }
}

/// A look at a page.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Where the page is.
    pub at: Surroundings,
    /// Who looks at it.
    pub viewer: Viewer,
}

impl Visit {
    /// Finds out who looks at a page.
    ///
    /// # Errors
    ///
    /// 404 if pages are switched off; the error of the catalog, which knows the sessions.
    pub async fn of(state: &State, head: &Head) -> Result<Self, HttpError> {
        let at = Surroundings::of(state, head);
        if at.is_plain {
            return Err(HttpError::not_found());
        }
        Ok(Self { at, viewer: Viewer::of(state, head).await? })
    }

    /// The relative URL of a path, which is given without the slash in front.
    pub fn to(&self, path: &str) -> String {
        self.at.to(path)
    }

    /// Replies with a page.
    pub fn reply(&self, page: Page) -> Response {
        layout::render(&self.at, Some(&self.viewer), page)
    }
}

/// Whether the client is a browser, which asks for HTML by name. curl and Nix take anything.
pub fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        is_html && !parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_for_those_who_ask_for_it() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("Text/HTML", true),
            ("application/json, text/html;q=0.2", true),
            ("*/*", false),
            ("text/*", false),
            ("text/html;q=0, text/plain", false),
            ("application/octet-stream", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wants_html(&headers), expected, "{accept}");
        }
        assert!(!wants_html(&HeaderMap::new()));
    }
}
