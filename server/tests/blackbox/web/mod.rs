//! The pages for people: what they show to whom, to which clients, and what they do in a real browser.

mod browsing;
mod deployments;
mod hostile;
mod login;
mod negotiation;
mod operating;
mod private;

use std::collections::HashSet;

use crate::harness::{Endpoint, Request, Response};

/// The most bytes of a page.
const LIMIT: usize = 50_000;

/// What a browser asks for.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

/// A request of a browser.
fn asking(endpoint: &Endpoint, target: &str) -> Request {
    endpoint.get(target).header("Accept", BROWSER)
}

/// The page that a browser gets there, with a token if it is not empty.
#[track_caller]
fn page(endpoint: &Endpoint, target: &str, token: &str) -> Response {
    let request = asking(endpoint, target);
    let reply = if token.is_empty() { request } else { request.bearer(token) }.send();
    check(target, &reply);
    reply
}

/// Checks what holds for every page.
#[track_caller]
fn check(target: &str, reply: &Response) {
    assert_eq!(reply.header("Content-Type"), Some("text/html; charset=utf-8"), "{target}: {}", reply.text());
    assert!(reply.body.len() < LIMIT, "{target} has {} bytes", reply.body.len());
    let policy = reply.header("Content-Security-Policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(reply.header("Referrer-Policy"), Some("same-origin"));
    assert!(!reply.text().contains("style=\"") && !reply.text().contains(" onclick"), "{target}");
}

/// The links of a page, as URLs on the same host.
fn links(page: &str, text: &str) -> HashSet<String> {
    let mut links = HashSet::new();
    for attribute in [" href=\"", " src=\"", " action=\""] {
        for rest in text.split(attribute).skip(1) {
            let link = rest.split('"').next().unwrap().replace("&amp;", "&");
            links.insert(resolve(page, &link));
        }
    }
    links
}

/// Resolves a link as a browser does.
fn resolve(page: &str, link: &str) -> String {
    assert!(!link.contains("//"), "{link} leads to another host");
    let base = url::Url::parse("http://host").unwrap().join(page).unwrap();
    let url = base.join(link).unwrap();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", url.path())
}
