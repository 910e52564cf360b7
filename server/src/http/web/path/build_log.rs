//! `GET /cache/NAME/path/HASH/log`: the build log of a path, and `…/log/raw`, which downloads it.

use std::collections::VecDeque;

use futures_util::StreamExt;
use http::StatusCode;
use maud::html;
use nar_storage::{Blob, BlobBody, Key, layout};

use super::{Place, find};
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::nix::untracked;
use crate::http::router::{PathHash, Request, ViewCache};
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::crumbs;
use crate::http::web::text::{length_in_html, size, visible};

/// The largest log whose end is shown; of a larger one the beginning is, as all of it would have to be read.
const READ: u64 = 8 << 20;
/// The most bytes of a log that are shown.
const SHOWN: usize = 32 << 10;

/// `GET …/log`.
pub async fn get(request: Request<ViewCache, (String, PathHash)>) -> Answer {
    let Request { state, grant: (visit, cache), path: (_, PathHash(hash)), .. } = request;
    let record = find(&state, &cache, &hash).await?;
    let place = Place::of(&visit, &cache, &hash);
    let log = match key_of(record.deriver.as_deref()) {
        Some(key) => cache.storages().open_small(&key).await,
        None => None,
    };
    let body = match log {
        None => html! {
            p.lead { "The cache has no build log of this path." }
            p { "Logs are sent with " code { "nix store copy-log --to URL PATH" } "." }
        },
        Some(log) => {
            let total = log.len();
            let (text, is_end) = part_of(log).await?;
            let is_whole = text.len() as u64 == total;
            let text = fitting(&String::from_utf8_lossy(&text), is_end);
            html! {
                p.soft {
                    (size(total))
                    @if !is_whole || text.is_cut { @if is_end { ", of which this is the end" } @else { ", of which this is the beginning" } }
                    " · " a href=(format!("{}/log/raw", place.path)) { "The whole log as plain text" }
                }
                pre.log tabindex="0" { (text.text) }
            }
        }
    };
    let body = html! {
        (crumbs(&place.crumbs(&visit, &cache, &record)))
        h1 { "Build log of " (record.path.name()) }
        (body)
    };
    Ok(visit.reply(Page::new(&format!("Build log of {}", record.path.name()), body).of(Part::Caches)))
}

/// `GET …/log/raw`.
pub async fn raw(request: Request<ViewCache, (String, PathHash)>) -> Answer {
    let Request { state, grant: (_, cache), path: (_, PathHash(hash)), .. } = request;
    let record = find(&state, &cache, &hash).await?;
    untracked::send(&cache, key_of(record.deriver.as_deref()), "text/plain; charset=utf-8").await
}

fn key_of(deriver: Option<&str>) -> Option<Key> {
    layout::log_key(deriver?).ok()
}

/// Reads the end of a log, or its beginning if it is large. Returns whether it is the end.
async fn part_of(log: Blob) -> Result<(Vec<u8>, bool), HttpError> {
    let is_end = log.len() <= READ;
    let mut pieces = match log.into_body() {
        BlobBody::Bytes(bytes) => return Ok((bytes[bytes.len().saturating_sub(SHOWN)..].to_vec(), true)),
        BlobBody::Stream(pieces) => pieces,
    };
    let mut kept = VecDeque::with_capacity(2 * SHOWN);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            tracing::warn!(%error, "could not read a build log");
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "The log cannot be read at the moment.")
        })?;
        kept.extend(&piece[piece.len().saturating_sub(SHOWN).min(if is_end { usize::MAX } else { 0 })..]);
        if is_end {
            kept.drain(..kept.len().saturating_sub(SHOWN));
        } else if kept.len() >= SHOWN {
            kept.truncate(SHOWN);
            break;
        }
    }
    Ok((kept.into(), is_end))
}

/// A part of a log that fits into a page.
struct Fitting {
    text: String,
    is_cut: bool,
}

/// Takes as many lines from the end, or from the beginning, as fit into a page.
fn fitting(text: &str, is_end: bool) -> Fitting {
    let lines: Vec<String> = text.lines().map(visible).collect();
    let mut length = 0;
    let mut fits = |line: &&String| {
        length += length_in_html(line) + 1;
        length <= SHOWN
    };
    let kept = if is_end {
        lines.iter().rev().take_while(&mut fits).count()
    } else {
        lines.iter().take_while(&mut fits).count()
    };
    let part = if is_end { &lines[lines.len() - kept..] } else { &lines[..kept] };
    Fitting { text: part.join("\n"), is_cut: kept < lines.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_cut_where_a_line_ends() {
        let line = "x".repeat(1000);
        let text = vec![line.as_str(); 100].join("\n");
        let end = fitting(&text, true);
        assert!(end.is_cut && end.text.len() <= SHOWN && end.text.lines().all(|shown| shown == line));
        let short = fitting("a\nb\u{1b}[0m", false);
        assert_eq!((short.text.as_str(), short.is_cut), ("a\nb^[[0m", false));
    }
}
