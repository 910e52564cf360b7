//! The frame of every page.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, html};
use warp::reply::Response;

use super::assets::{ICON, SCRIPT, STYLE};
use super::text::{encode, visible};
use super::viewer::Viewer;
use super::visit::Surroundings;
use crate::listeners::OwnPage;

/// The parts of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Caches and what is in them.
    Caches,
    /// Workspaces, agents and deployments.
    Deployments,
    /// The pages of operators.
    Server,
    /// Anything else.
    Other,
}

/// A page without its frame.
pub struct Page {
    /// What it is called, in the title of the window.
    pub title: String,
    /// The part of the site that it belongs to.
    pub part: Part,
    /// After how many seconds a browser without a script loads it again.
    pub reload: Option<u32>,
    /// What stands in it.
    pub body: Markup,
}

impl Page {
    /// A page that belongs to no part.
    pub fn new(title: &str, body: Markup) -> Self {
        Self { title: title.to_owned(), part: Part::Other, reload: None, body }
    }

    /// The same page as one of this part.
    pub fn of(self, part: Part) -> Self {
        Self { part, ..self }
    }

    /// The same page, which changes by itself.
    pub fn reloaded(self, seconds: Option<u32>) -> Self {
        Self { reload: seconds, ..self }
    }
}

/// Makes the reply with a page. `viewer` is `None` if nobody knows who looks at it.
pub fn render(at: &Surroundings, viewer: Option<&Viewer>, page: Page) -> Response {
    let is_known = viewer.is_some_and(|viewer| viewer.grant().is_some());
    let document = document(at, viewer, page);
    let mut response = Response::new(document.into_string().into());
    response.extensions_mut().insert(OwnPage);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(VARY, HeaderValue::from_static("accept, authorization, cookie"));
    let caching = if is_known { "no-store" } else { "private, no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

/// Makes the page of an error.
pub fn failure(at: &Surroundings, status: StatusCode, message: &str) -> Response {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "Not permitted",
        StatusCode::SERVICE_UNAVAILABLE => "Busy",
        _ if status.is_server_error() => "Something failed",
        _ => "This did not work",
    };
    let may_help = matches!(status, StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED);
    let body = html! {
        h1 { (title) }
        p.lead { (visible(message)) }
        p {
            a href=(at.to("")) { "Caches" }
            @if may_help { " · " a href=(login_url(at)) { "Log in" } }
        }
    };
    let mut response = render(at, None, Page::new(title, body));
    *response.status_mut() = status;
    response
}

fn login_url(at: &Surroundings) -> String {
    format!("{}?next={}", at.to("login"), encode(&at.here))
}

fn document(at: &Surroundings, viewer: Option<&Viewer>, page: Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (visible(&page.title)) " · " (visible(&at.host)) }
                link rel="stylesheet" href=(at.to(&STYLE.path()));
                link rel="icon" type="image/svg+xml" href=(at.to(&ICON.path()));
                script src=(at.to(&SCRIPT.path())) defer {}
                @if let Some(seconds) = page.reload {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (header(at, viewer, page.part))
                main #main { (page.body) }
                footer { "cache-server " (env!("CARGO_PKG_VERSION")) }
                div #said .unseen role="status" {}
            }
        }
    }
}

fn header(at: &Surroundings, viewer: Option<&Viewer>, part: Part) -> Markup {
    let current = |of: Part| (of == part).then_some("page");
    html! {
        header {
            a.brand href=(at.to("")) {
                img src=(at.to(&ICON.path())) alt="" width="24" height="24";
                (visible(&at.host))
            }
            nav aria-label="Site" {
                a href=(at.to("")) aria-current=[current(Part::Caches)] { "Caches" }
                @if let Some(viewer) = viewer {
                    @if viewer.grant().is_some() {
                        a href=(at.to("deployments")) aria-current=[current(Part::Deployments)] { "Deployments" }
                    }
                    @if viewer.is_operator() {
                        a href=(at.to("server")) aria-current=[current(Part::Server)] { "Server" }
                    }
                    @if viewer.has_session() {
                        form method="post" action=(at.to("logout")) { button.plain type="submit" { "Log out" } }
                    } @else if viewer.grant().is_none() {
                        a href=(login_url(at)) { "Log in" }
                    }
                }
            }
        }
    }
}
