//! The pages of operators. They show what `cachectl` shows, from the same handlers.

pub mod audit;
pub mod network;
pub mod overview;
pub mod tokens;
pub mod work;

use maud::{Markup, html};

use super::Visit;
use super::text::visible;
use crate::http::error::HttpError;

/// The pages, by their names below `/server`.
const PAGES: [(&str, &str); 5] = [
    ("", "Overview"),
    ("/work", "Jobs"),
    ("/network", "Network"),
    ("/tokens", "Tokens"),
    ("/audit", "Audit log"),
];

/// The heading, and links to the other pages.
fn top(visit: &Visit, page: &str) -> Markup {
    let title = PAGES.iter().find(|(path, _)| *path == page).map_or("", |(_, title)| title);
    html! {
        nav.crumbs aria-label="Server" {
            @for (number, (path, name)) in PAGES.iter().enumerate() {
                @if number > 0 { span aria-hidden="true" { "·" } }
                @if *path == page { strong aria-current="page" { (name) } }
                @else { a href=(visit.to(&format!("server{path}"))) { (name) } }
            }
        }
        h1 { (title) }
    }
}

/// What an operator may see of a failure inside.
fn failed(error: admin_api::ApiError) -> HttpError {
    HttpError::new(http::StatusCode::SERVICE_UNAVAILABLE, visible(&error.message))
}
