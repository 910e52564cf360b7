//! Pieces that pages have in common.

use catalog::UnixTime;
use maud::{Markup, html};
use nix_formats::StorePath;

use super::text::visible;
use crate::clock::span;
use crate::deploy::time;

/// Lines to type or to paste, with a button that copies them.
pub fn code(lines: &[String]) -> Markup {
    html! {
        div.code {
            button.copy type="button" hidden { "Copy" }
            pre tabindex="0" { code { (visible_lines(lines)) } }
        }
    }
}

fn visible_lines(lines: &[String]) -> String {
    lines.iter().map(|line| visible(line)).collect::<Vec<_>>().join("\n")
}

/// How long ago something was, with the exact time for those who point at it.
pub fn ago(at: UnixTime) -> Markup {
    let now = UnixTime::now().0;
    let text = match u64::try_from(now.saturating_sub(at.0)) {
        Ok(0) => "just now".to_owned(),
        Ok(seconds) => format!("{} ago", span(seconds)),
        Err(_) => format!("in {}", span(at.0.abs_diff(now))),
    };
    let exact = time::format(at);
    html! { time datetime=(exact) title=(exact) { (text) } }
}

/// How long something takes or took.
pub fn lasting(from: UnixTime, to: UnixTime) -> String {
    span(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}

/// A word about a state. `kind` is one of `good`, `warn`, `bad`, or empty.
pub fn badge(kind: &str, word: &str) -> Markup {
    html! { span class=(format!("badge {kind}")) { (visible(word)) } }
}

/// The name of a path as a link, with the beginning of its hash.
pub fn path_link(url: &str, path: &StorePath) -> Markup {
    let hash = path.hash().to_string();
    html! {
        a href=(url) title=(path.base_name()) { (path.name()) }
        " " span.hash { (hash.get(..7).unwrap_or_default()) }
    }
}

/// Where a page is: links to what it is in.
pub fn crumbs(links: &[(String, String)]) -> Markup {
    html! {
        nav.crumbs aria-label="Where you are" {
            @for (number, (url, name)) in links.iter().enumerate() {
                @if number > 0 { span aria-hidden="true" { "/" } }
                a href=(url) { (visible(name)) }
            }
        }
    }
}

/// Links to the pages before and after this one.
pub fn pager(first: Option<String>, next: Option<String>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.pages aria-label="Pages" {
                @if let Some(url) = first { a href=(url) { "First page" } }
                @if let Some(url) = next { a href=(url) rel="next" { "Next page" } }
            }
        }
    }
}
