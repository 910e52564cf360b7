//! `GET /server/audit`: who changed what, from the file of the audit log, newest first.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use super::top;
use crate::cache::blocking;
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::router::{Operate, Request};
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{badge, pager};
use crate::http::web::text::visible;

/// Bytes of the file that are read for one page.
const PIECE: u64 = 64 << 10;
/// Events on one page.
const ON_PAGE: usize = 60;
/// Characters of one text.
const LONGEST: usize = 160;

#[derive(Deserialize)]
struct Query {
    /// Where in the file the page ends.
    before: Option<u64>,
}

/// A line of the file, as far as it is shown.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    time: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    object: String,
    #[serde(default)]
    status: u16,
    subject: Option<String>,
    token: Option<String>,
    uid: Option<u32>,
    address: Option<String>,
    #[serde(default)]
    left_out: u64,
}

/// `GET /server/audit`.
pub async fn get(request: Request<Operate>) -> Answer {
    let Request { state, grant: visit, head, .. } = request;
    let Query { before } = head.query()?;
    let Some(path) = state.config().server.audit_log.clone() else {
        let body = html! {
            (top(&visit, "/audit"))
            p { "The audit log has no file of its own: its lines are in the log of the daemon." }
            p { "Set " code { "server.audit-log" } " to see them here." }
        };
        return Ok(visit.reply(Page::new("Audit log", body).of(Part::Server)));
    };
    let read = blocking(move || read_before(&path, before)).await?;
    let (events, begin) = read.map_err(|error| {
        tracing::warn!(%error, "could not read the audit log");
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "The audit log cannot be read at the moment.")
    })?;
    let own = visit.to("server/audit");
    let body = html! {
        (top(&visit, "/audit"))
        @if events.is_empty() { p { "Nothing was changed yet." } } @else { (table(&events)) }
        (pager(before.is_some().then(|| own.clone()), (begin > 0).then(|| format!("{own}?before={begin}"))))
    };
    Ok(visit.reply(Page::new("Audit log", body).of(Part::Server)))
}

/// Reads the last events before a place in the file, the newest first. Returns also where the first of them begins. Blocks.
fn read_before(path: &Path, before: Option<u64>) -> io::Result<(Vec<Event>, u64)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let end = before.unwrap_or(length).min(length);
    let begin = end.saturating_sub(PIECE);
    let mut piece = vec![0; usize::try_from(end - begin).unwrap_or(0)];
    file.read_exact_at(&mut piece, begin)?;
    let mut events = Vec::new();
    let mut left = piece.len();
    // From the end to the beginning; the first line may be cut.
    while left > 0 && events.len() < ON_PAGE {
        let line_end = if piece[left - 1] == b'\n' { left - 1 } else { left };
        let line_begin = match piece[..line_end].iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if begin == 0 => 0,
            // A line that is longer than a piece is left out.
            None if events.is_empty() && left == piece.len() => return Ok((events, begin)),
            None => break,
        };
        events.extend(serde_json::from_slice(&piece[line_begin..line_end]));
        left = line_begin;
    }
    Ok((events, begin + left as u64))
}

fn table(events: &[Event]) -> Markup {
    html! {
        table {
            thead { tr { th { "When" } th { "Who" } th { "What" } th { "Outcome" } } }
            tbody {
                @for event in events {
                    tr {
                        td.tight { time datetime=(visible(&event.time)) { (when(&event.time)) } }
                        td { (who(event)) @if let Some(address) = &event.address { div.soft { (visible(address)) } } }
                        td { (short(&event.action)) div.soft { (short(&event.object)) } }
                        td {
                            @match event.outcome.as_str() {
                                "done" => (badge("good", "done")),
                                "refused" => (badge("warn", "refused")),
                                other => (badge("bad", other)),
                            }
                            " " span.soft { (event.status) }
                            @if event.left_out > 0 { div.soft { (event.left_out) " more like this" } }
                        }
                    }
                }
            }
        }
    }
}

/// Day and time, without parts of seconds.
fn when(time: &str) -> String {
    visible(time.get(..19).unwrap_or(time)).replace('T', " ")
}

fn who(event: &Event) -> String {
    match (&event.subject, &event.token, event.uid) {
        (Some(subject), _, _) => short(subject),
        (None, Some(token), _) => format!("token {}", short(token)),
        (None, None, Some(uid)) => format!("uid {uid} of this machine"),
        (None, None, None) => "anonymous".to_owned(),
    }
}

fn short(text: &str) -> String {
    visible(text).chars().take(LONGEST).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_back_through_the_file_without_a_gap() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines: Vec<String> = (0..3000).map(|number| format!("{{\"object\":\"{number}\"}}\n")).collect();
        std::fs::write(file.path(), lines.concat()).unwrap();
        let (mut before, mut seen) = (None, Vec::new());
        loop {
            let (events, begin) = read_before(file.path(), before).unwrap();
            assert!(events.len() <= ON_PAGE);
            seen.extend(events.iter().map(|event| event.object.parse::<u32>().unwrap()));
            if begin == 0 {
                break;
            }
            before = Some(begin);
        }
        assert_eq!(seen, (0..3000).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_line_that_is_no_event_is_left_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "garbage\n{\"object\":\"a\"}\n").unwrap();
        let (events, begin) = read_before(file.path(), None).unwrap();
        assert_eq!((events.len(), begin), (1, 0));
        let long = format!("{{\"object\":\"{}\"}}\n{{\"object\":\"b\"}}\n", "x".repeat(2 * PIECE as usize));
        std::fs::write(file.path(), &long).unwrap();
        let (events, mut begin) = read_before(file.path(), None).unwrap();
        assert_eq!(events[0].object, "b");
        for _ in 0..3 {
            begin = read_before(file.path(), Some(begin)).unwrap().1;
        }
        assert_eq!(begin, 0);
    }
}
