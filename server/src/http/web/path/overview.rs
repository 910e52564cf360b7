//! `GET /cache/NAME/path/HASH`: what is known of a store path.

use admin_api::PathCopy;
use catalog::{Closure, PathRecord, PinRecord, Referrer, UnixTime};
use maud::{Markup, html};
use nar_storage::layout;
use nix_formats::{Compression, StorePath};

use super::{Place, find};
use crate::cache::Cache;
use crate::cache::narinfo::{nar_file_name, narinfo};
use crate::http::router::{PathHash, Request, ViewCache};
use crate::http::state::State;
use crate::http::web::Visit;
use crate::http::web::cache::pins;
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, badge, code, crumbs, path_link};
use crate::http::web::setup::Addresses;
use crate::http::web::text::{count, number, size, visible};
use crate::http::{Answer, admin};
use crate::instructions::fetch_once;

/// References and referrers on this page.
const LISTED: usize = 40;
/// Pins on this page.
const PINS: u64 = 5;
/// The most paths of a closure that are added up.
const CLOSURE: usize = 20_000;
/// Signatures that are shown.
const SIGNATURES: usize = 10;

/// `GET /cache/NAME/path/HASH`.
pub async fn get(request: Request<ViewCache, (String, PathHash)>) -> Answer {
    let Request { state, grant: (visit, cache), path: (_, PathHash(hash)), head, .. } = request;
    let record = find(&state, &cache, &hash).await?;
    let catalog = &state.catalog.unhurried();
    let referrers = catalog.referrers(cache.id, &hash, None, LISTED as u64 + 1).await?;
    let pins = catalog.pins_of(cache.id, &hash, PINS).await?;
    let closure = catalog.closure(cache.id, hash, CLOSURE).await?;
    let place = Place::of(&visit, &cache, &hash);
    let addresses = Addresses::of(&state, &cache, head.host()?);
    let is_member = visit.viewer.is_member(&state, &cache);
    let copies = match is_member {
        true => admin::copies_of(&state, &cache, record.nar.id).await?,
        false => Vec::new(),
    };
    let path = record.path.to_full_path();
    let body = html! {
        (crumbs(&place.crumbs(&visit, &cache, &record)[..2]))
        h1 { (record.path.name()) }
        (code(std::slice::from_ref(&path)))
        dl.figures {
            div { dt { "stored" } dd { (size(record.nar.file_size)) } }
            div { dt { "unpacked" } dd { (size(record.nar.nar_size)) } }
            div { dt { "with all that it needs" } dd { @if closure.is_cut { "over " } (size(closure.nar_bytes)) } }
            div { dt { "pushed" } dd { (ago(record.created_at)) } }
        }
        p.pages {
            a href=(format!("{}/files", place.path)) { "Files" }
            @if record.deriver.is_some() { a href=(format!("{}/log", place.path)) { "Build log" } }
            @if is_member { a href=(format!("{}/why", place.path)) { "What keeps it" } }
        }
        h2 { "Fetch it" }
        (code(&fetch_once(&format!("nix-store --realise {path}"), &addresses.url, &addresses.keys)))
        p.soft { "Or from this cache alone, without asking any other:" }
        (code(&[format!("nix copy --from {} {path}", addresses.url)]))
        h2 { "Facts" }
        (facts(&state, &visit, &cache, &record, &closure, &copies))
        (references(&place, &cache, &record))
        (needed_by(&place, &cache, &referrers))
        @if !pins.is_empty() { h2 { "Pins" } (pinned(&cache, &place, &pins)) }
    };
    Ok(visit.reply(Page::new(record.path.name(), body).of(Part::Caches)))
}

fn facts(
    state: &State,
    visit: &Visit,
    cache: &Cache,
    record: &PathRecord,
    closure: &Closure,
    copies: &[PathCopy],
) -> Markup {
    let nar = &record.nar;
    let signatures = narinfo(cache, record).signatures;
    let is_member = visit.viewer.is_member(state, cache);
    let pushed_by = record.pushed_by.as_deref().filter(|_| is_member);
    let storage = cache.storage(nar.storage).filter(|_| is_member);
    html! {
        dl.facts {
            dt { "NAR hash" } dd { code { (nar.nar_hash.to_prefixed()) } }
            dt { "File" }
            dd {
                code { (layout::nar_key(&nar_file_name(record)).to_string()) } br;
                span.soft {
                    (number(nar.file_size)) " bytes"
                    @if nar.compression != Compression::None { ", " (nar.compression.to_string()) }
                }
            }
            dt { "Closure" }
            dd {
                @if closure.is_cut { "More than " }
                (count(closure.paths, "path", "paths")) ", " (size(closure.file_bytes)) " to download, "
                (size(closure.nar_bytes)) " unpacked"
                @if closure.missing > 0 { ", and " (count(closure.missing, "path", "paths")) " that this cache does not have" }
            }
            dt { "Deriver" }
            dd { @match &record.deriver { Some(deriver) => code { (visible(deriver)) }, None => "not known" } }
            @if let Some(ca) = &record.ca { dt { "Content address" } dd { code { (visible(ca)) } } }
            dt { @if signatures.len() == 1 { "Signature" } @else { "Signatures" } }
            dd {
                @if signatures.is_empty() { "none" }
                @for signature in signatures.iter().take(SIGNATURES) { div { (signed_by(cache, &signature.to_string())) } }
            }
            dt { "Pushed" }
            dd {
                (ago(record.created_at))
                @if let Some(token) = pushed_by {
                    @let subject = token.parse().ok().and_then(|id| state.tokens.subject_of(id));
                    " with the token "
                    @match subject { Some(subject) => (visible(&subject)), None => code { (visible(token)) } }
                }
            }
            dt { "Last used" } dd { (ago(record.last_used_at)) }
            @if let Some(storage) = storage { dt { "Storage" } dd { (visible(storage.name())) } }
            @if !copies.is_empty() {
                dt { @if copies.len() == 1 { "Further copy" } @else { "Further copies" } }
                dd { @for further in copies { div { (copy(further)) } } }
            }
        }
    }
}

/// Where a further copy lies, and how it is.
fn copy(copy: &PathCopy) -> Markup {
    html! {
        @match &copy.storage { Some(storage) => (visible(storage)), None => "not on a storage yet" }
        @match copy.state.as_str() {
            "there" => @if let Some(at) = copy.checked_at { span.soft { ", checked " (ago(UnixTime(at))) } },
            "damaged" => { " " (badge("bad", "damaged")) }
            state => { " " (badge("warn", state)) }
        }
    }
}

/// Who made a signature, as far as the cache knows the key.
fn signed_by(cache: &Cache, signature: &str) -> Markup {
    let name = signature.split(':').next().unwrap_or_default();
    let is_own = cache.keys().published().iter().any(|key| key.to_string().split(':').next() == Some(name));
    html! {
        code title=(visible(signature)) { (visible(name)) }
        @if is_own { span.soft { ", a key of this cache" } } @else { span.soft { ", a key of somebody else" } }
    }
}

fn references(place: &Place, cache: &Cache, record: &PathRecord) -> Markup {
    let others: Vec<&StorePath> = record.references.iter().filter(|path| **path != record.path).collect();
    html! {
        h2 { "Refers to" }
        @if others.is_empty() {
            p.soft { "Nothing" @if !record.references.is_empty() { " but itself" } "." }
        } @else {
            ul.rows { @for path in others.iter().take(LISTED) { li { (reference(place, cache, path)) } } }
            @if others.len() > LISTED {
                p.pages { a href=(format!("{}/references", place.path)) { "All " (number(others.len() as u64)) } }
            }
        }
    }
}

/// A path that is referred to, as a link if the cache has it.
pub(super) fn reference(place: &Place, cache: &Cache, path: &StorePath) -> Markup {
    html! {
        @if cache.index.may_hold(path.hash()) {
            (path_link(&format!("{}/path/{}", place.cache, path.hash()), path))
        } @else {
            (path.name()) " " span.soft { "not in this cache" }
        }
    }
}

fn needed_by(place: &Place, cache: &Cache, referrers: &[Referrer]) -> Markup {
    let shown = referrers.iter().take(LISTED).filter(|referrer| cache.index.may_hold(referrer.path.hash()));
    html! {
        h2 { "Is referred to by" }
        @if referrers.is_empty() {
            p.soft { "Nothing in this cache." }
        } @else {
            ul.rows { @for referrer in shown { li { (reference(place, cache, &referrer.path)) } } }
            @if referrers.len() > LISTED { p.pages { a href=(format!("{}/referrers", place.path)) { "All of them" } } }
        }
    }
}

fn pinned(cache: &Cache, place: &Place, found: &[PinRecord]) -> Markup {
    pins::table(cache, &place.cache, found)
}
