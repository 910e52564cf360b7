//! `GET /cache/NAME/path/HASH/files/…`: directories and files of a path, and `…/raw/…`, which downloads a file.

use std::sync::Arc;

use bytes::Bytes;
use catalog::PathRecord;
use http::header::{CONTENT_DISPOSITION, HeaderValue};
use maud::{Markup, html};
use nar_storage::layout;
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::listing::{Found, Node, Wanted, look};
use super::{Place, find};
use crate::cache::{Cache, blocking};
use crate::http::Answer;
use crate::http::error::HttpError;
use crate::http::nix::serve;
use crate::http::router::{PathHash, Request, ViewCache};
use crate::http::web::Visit;
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{crumbs, pager};
use crate::http::web::text::{encode, length_in_html, size, visible};

/// Entries on one page.
const ON_PAGE: usize = 150;
/// The largest listing that is read, in bytes.
const LISTING_LIMIT: u64 = 16 << 20;
/// The largest file that is shown, in bytes.
const SHOWN: u64 = 64 << 10;
/// The most bytes that the text of a file may take in a page.
const SHOWN_IN_HTML: usize = 36 << 10;
/// The most bytes of all names on a page.
const NAMES: usize = 16 << 10;

#[derive(Deserialize)]
struct Query {
    /// The last name on the previous page.
    after: Option<String>,
}

/// `GET …/files` and `GET …/files/PATH`.
pub async fn get(request: Request<ViewCache, (String, PathHash, String)>) -> Answer {
    let Request { state, grant: (visit, cache), path: (_, PathHash(hash), inside), head, .. } = request;
    let Query { after } = head.query()?;
    let record = find(&state, &cache, &hash).await?;
    let place = Place::of(&visit, &cache, &hash);
    let names: Vec<String> = inside
        .split('/')
        .filter(|name| !name.is_empty())
        .map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned())
        .collect();
    let found = read(&cache, &record, &names, after.clone()).await?;
    let shown = Shown { visit: &visit, cache: &cache, record: &record, place: &place, names: &names };
    match found.node.clone() {
        Some(Node::Directory) => shown.directory(&found, after.is_some()),
        Some(Node::File { size, executable }) => {
            let contents = if size <= SHOWN {
                Some(
                    serve::read_small(
                        &state.catalog.unhurried(),
                        &cache,
                        &record,
                        &inside,
                        head.client,
                        SHOWN,
                    )
                    .await?,
                )
            } else {
                None
            };
            shown.file(size, executable, contents)
        }
        Some(Node::Symlink { target }) => shown.symlink(&target),
        None => Err(HttpError::new(http::StatusCode::NOT_FOUND, "There is no such file in this path.")),
    }
}

/// `GET …/raw/PATH`.
pub async fn raw(request: Request<ViewCache, (String, PathHash, String)>) -> Answer {
    let Request { state, grant: (_, cache), path: (_, PathHash(hash), inside), head, .. } = request;
    let mut response = serve::send(&state, &cache, &hash, &inside, &head).await?;
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response)
}

/// Looks up a place in the listing of a path.
async fn read(
    cache: &Arc<Cache>,
    record: &PathRecord,
    names: &[String],
    after: Option<String>,
) -> Result<Found, HttpError> {
    let unknown = |message: &str| HttpError::new(http::StatusCode::NOT_FOUND, message);
    let listing = cache.storages().open_small(&layout::listing_key(record.path.hash())).await;
    let listing = listing.ok_or_else(|| {
        unknown(
            "There is no list of the files of this path: it is not written yet, or the names are not UTF-8.",
        )
    })?;
    if listing.len() > LISTING_LIMIT {
        return Err(unknown("This path has too many files to be listed here."));
    }
    let listing: Bytes = listing.into_bytes().await.map_err(|error| HttpError::internal(&error))?;
    let names = names.to_vec();
    let found = blocking(move || {
        let path: Vec<&str> = names.iter().map(String::as_str).collect();
        look(&listing, Wanted { path: &path, after: after.as_deref(), most: ON_PAGE })
    });
    let mut found = found.await?.map_err(|error| HttpError::internal(&error))?;
    let mut length = 0;
    // Names are short, unless somebody wants to make large pages.
    let fitting = found.entries.iter().take_while(|(name, _)| {
        length += 3 * name.len();
        length <= NAMES
    });
    let fitting = fitting.count().max(1).min(found.entries.len());
    found.has_more |= fitting < found.entries.len();
    found.entries.truncate(fitting);
    Ok(found)
}

/// A place inside a path, to be shown.
struct Shown<'a> {
    visit: &'a Visit,
    cache: &'a Cache,
    record: &'a PathRecord,
    place: &'a Place,
    names: &'a [String],
}

impl Shown<'_> {
    /// The URL of the place, for pages below `kind`.
    fn url(&self, kind: &str, names: &[String]) -> String {
        let names: String = names.iter().map(|name| format!("/{}", encode(name))).collect();
        format!("{}/{kind}{names}", self.place.path)
    }

    fn top(&self) -> Markup {
        let mut links = self.place.crumbs(self.visit, self.cache, self.record);
        links.push((self.url("files", &[]), "files".to_owned()));
        for depth in 1..self.names.len() {
            links.push((self.url("files", &self.names[..depth]), self.names[depth - 1].clone()));
        }
        if self.names.is_empty() {
            links.pop();
        }
        html! {
            (crumbs(&links))
            h1 { @match self.names.last() { Some(name) => (visible(name)), None => "Files" } }
        }
    }

    fn reply(&self, body: Markup) -> Answer {
        let name = self.names.last().map_or("Files", String::as_str);
        let title = format!("{name} in {}", self.record.path.name());
        Ok(self.visit.reply(Page::new(&title, body).of(Part::Caches)))
    }

    fn directory(&self, found: &Found, is_rest: bool) -> Answer {
        let own = self.url("files", self.names);
        let next = found.entries.last().filter(|_| found.has_more);
        let next = next.map(|(name, _)| format!("{own}?after={}", encode(name)));
        self.reply(html! {
            (self.top())
            input.filter type="search" placeholder="Filter this list" aria-label="Filter this list" data-of="entries" hidden;
            table {
                thead { tr { th { "Name" } th.number { "Size" } } }
                tbody #entries {
                    @for (name, node) in &found.entries {
                        tr {
                            td { a href=(format!("{own}/{}", encode(name))) { (visible(name)) } (mark(node)) }
                            td.number { @if let Node::File { size: bytes, .. } = node { (size(*bytes)) } }
                        }
                    }
                }
            }
            @if found.entries.is_empty() { p.soft { "The directory is empty." } }
            (pager(is_rest.then(|| own.clone()), next))
        })
    }

    fn file(&self, bytes: u64, executable: bool, contents: Option<Vec<u8>>) -> Answer {
        let text = contents.and_then(|contents| String::from_utf8(contents).ok());
        let text = text.filter(|text| !text.contains('\0'));
        let text = text.map(|text| text.split('\n').map(visible).collect::<Vec<_>>().join("\n"));
        let text = text.filter(|text| length_in_html(text) <= SHOWN_IN_HTML);
        self.reply(html! {
            (self.top())
            p.soft { (size(bytes)) @if executable { ", executable" } }
            p { a href=(self.url("raw", self.names)) download { "Download" } }
            @match text {
                Some(text) => div.code { button.copy type="button" hidden { "Copy" } pre tabindex="0" { code { (text) } } },
                None => p.soft { "The file is not shown here, as it is large or not a text." },
            }
        })
    }

    fn symlink(&self, target: &str) -> Answer {
        self.reply(html! {
            (self.top())
            p { "A symbolic link to " code { (visible(target)) } "." }
            @if let Some((hash, inside)) = in_store(target).filter(|(hash, _)| self.cache.index.may_hold(hash)) {
                p { a href=(format!("{}/path/{hash}/files{inside}", self.place.cache)) { "Follow it" } }
            }
        })
    }
}

/// The hash of the store path that a link leads to, and the rest, encoded.
fn in_store(target: &str) -> Option<(nix_formats::StorePathHash, String)> {
    let mut parts = target.strip_prefix("/nix/store/")?.split('/');
    let path = nix_formats::StorePath::from_base_name(parts.next()?).ok()?;
    Some((*path.hash(), parts.map(|part| format!("/{}", encode(part))).collect()))
}

fn mark(node: &Node) -> Markup {
    html! {
        @match node {
            Node::Directory => "/",
            Node::Symlink { target } => span.soft { " → " (visible(target).chars().take(120).collect::<String>()) },
            Node::File { executable: true, .. } => span.soft { " executable" },
            Node::File { .. } => "",
        }
    }
}
