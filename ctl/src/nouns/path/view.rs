//! How store paths are shown.

use admin_api::{DeletedPaths, MissingPath, PathCopy, PathInfo, PathRow, PushedBy};

use super::CacheWhy;
use crate::output::{
    Cell, Column, Fields, Look, Table, Tone, base_name, counted, date, plain, relative, size, size_exact,
};

/// Renders a table of paths.
pub fn table(paths: &[PathRow], look: &Look) -> String {
    let mut table = Table::new([
        Column::number("STORED"),
        Column::text("LAST USED"),
        Column::text("STATE").unless_empty(),
        Column::long("PATH"),
    ])
    .or("No paths.");
    for path in paths {
        table.add([
            size(path.file_size).into(),
            path.last_used_at.map_or_else(|| "never".to_owned(), |time| relative(look.now, time)).into(),
            if path.damaged { Cell::new("damaged", Tone::Bad) } else { "".into() },
            base_name(&path.store_path).into(),
        ]);
    }
    table.render(look)
}

/// Renders why a cache keeps a path, or does not.
pub fn render_why(CacheWhy { cache, why }: &CacheWhy, look: &Look) -> String {
    let expires = match why.goes_at {
        Some(time) if time > look.now => {
            format!("{} ({}), if nothing changes", date(time), relative(look.now, time))
        }
        None if why.live => "never, as long as this is the case".to_owned(),
        _ => "now: the next garbage collection removes it".to_owned(),
    };
    let mut fields = Fields::new();
    fields
        .add("Cache", cache)
        .add("State", if why.live { "kept" } else { "not kept" })
        .add("Why", &why.reason)
        .add("Expires", expires);
    // The first is the path itself.
    if let [_, referrers @ ..] = why.chain.as_slice()
        && !referrers.is_empty()
    {
        fields.add_list("Referred to by", referrers);
    }
    format!("{}\n{}", look.bold(&plain(&why.store_path)), fields.render(look))
}

/// Renders what was deleted.
pub fn render_deleted(cache: &str, deleted: &DeletedPaths, look: &Look) -> String {
    let paths = counted(deleted.paths.len() as u64, "path");
    let kept = match deleted.bytes_trashed {
        0 => String::new(),
        bytes => format!(", {} in the trash", size(bytes)),
    };
    let mut text =
        format!("Deleted {paths} from {} ({} freed{kept}):\n", plain(cache), size(deleted.bytes_freed));
    for path in &deleted.paths {
        text.push_str(&format!("  {}\n", plain(path)));
    }
    if let Some(time) = deleted.restorable_until {
        let when = relative(look.now, time);
        text.push_str(&format!("`cachectl path restore` brings them back until {} ({when}).\n", date(time)));
    }
    if deleted.postponed > 0 {
        let paths = counted(deleted.postponed, "path");
        text.push_str(&format!(
            "The files of {paths} remain because their storage does not answer; the next `cachectl gc` deletes them.\n"
        ));
    }
    text
}

/// The token that a path was pushed with, for a person.
fn pushed_by(info: &PathInfo) -> String {
    match &info.pushed_by {
        Some(PushedBy { token, subject: Some(subject) }) => format!("{subject} (token {token})"),
        Some(PushedBy { token, subject: None }) => format!("token {token}"),
        None => "-".to_owned(),
    }
}

/// A path that a closure lacks, for a person.
fn missing(missing: &MissingPath) -> String {
    let why = if missing.hidden { ", damaged here" } else { "" };
    format!("{} (needed by {}{why})", missing.path, missing.needed_by)
}

/// Renders all about a path in a cache.
pub fn render(info: &PathInfo, look: &Look) -> String {
    let when = |time| format!("{} ({})", date(time), relative(look.now, time));
    let state = match () {
        () if info.damaged => "damaged (hidden until it is pushed again)",
        () if info.withheld => "hidden until its closure is complete",
        () => "ok",
    };
    let mut fields = Fields::new();
    fields
        .add("Cache", &info.cache)
        .add("State", state)
        .add("Pushed", when(info.created_at))
        .add("Pushed by", pushed_by(info))
        .add("Last used", info.last_used_at.map_or_else(|| "never".to_owned(), when))
        .add("NAR hash", &info.nar_hash)
        .add("NAR size", size_exact(info.nar_size))
        .add("File hash", &info.file_hash)
        .add("File size", size_exact(info.file_size))
        .add("Compression", &info.compression)
        .add("URL", &info.url)
        .add("Storage", &info.storage);
    if !info.copies.is_empty() {
        let copies: Vec<String> = info.copies.iter().map(|copy| describe_copy(copy, &when)).collect();
        fields.add_list("Copies", &copies);
    }
    fields
        .add("Deriver", info.deriver.as_deref().unwrap_or("-"))
        .add_list("References", &info.references)
        .add_list("Signatures", &info.signatures)
        .add_list("Closure lacks", &info.missing.iter().map(missing).collect::<Vec<_>>());
    format!("{}\n{}", look.bold(&plain(&info.store_path)), fields.render(look))
}

/// A further copy in a line.
fn describe_copy(copy: &PathCopy, when: &dyn Fn(i64) -> String) -> String {
    let storage = copy.storage.as_deref().unwrap_or("wherever there is room");
    match (copy.state.as_str(), copy.checked_at) {
        ("there", Some(checked)) => format!("{storage}, checked {}", when(checked)),
        ("there", None) => storage.to_owned(),
        (state, _) => format!("{storage} ({state})"),
    }
}
