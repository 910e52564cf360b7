use admin_api::{Access, CacheInfo, CacheSummary, KeyInfo, KeyOrigin, Signing};

use super::storage;
use crate::args::Cache;
use crate::client::Client;
use crate::error::Error;
use crate::output::{
    Cell, Column, Fields, Look, Output, Table, Tone, count, plain, relative, size, size_exact,
};

/// `cachectl cache …`
pub async fn run(command: Cache, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Cache::List => {
            let caches = client.caches().await?;
            output.print(&caches, |look| table(&caches, look))
        }
        Cache::Info { name } => {
            let cache = client.cache(&name).await?;
            output.print(&cache, |look| render(&cache, look))
        }
    }
}

/// A table of caches.
pub fn table(caches: &[CacheSummary], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::text("ACCESS"),
        Column::number("PATHS"),
        Column::number("STORED"),
        Column::number("UNPACKED"),
        Column::text("URL"),
    ]);
    for cache in caches {
        table.add([
            cache.name.as_str().into(),
            state(cache),
            count(cache.paths).into(),
            size(cache.file_bytes).into(),
            size(cache.nar_bytes).into(),
            cache.url.as_str().into(),
        ]);
    }
    table.render(look)
}

/// Who may read a cache, or that nobody may.
pub fn state(cache: &CacheSummary) -> Cell {
    if cache.enabled { access(cache.access).into() } else { Cell::new("disabled", Tone::Odd) }
}

/// The name of the one cache that the user asked for, once it is sure that there is one.
pub fn only(name: Option<String>, caches: &[CacheSummary]) -> Result<Option<String>, Error> {
    match name {
        Some(name) if caches.iter().all(|cache| cache.name != name) => {
            let caches = caches.iter().map(|cache| cache.name.clone()).collect();
            Err(Error::NoSuchCache { name, caches })
        }
        name => Ok(name),
    }
}

/// A table of the keys that clients are to trust. Apart from the caches: keys are too long to stand
/// beside anything else.
pub fn public_keys(caches: &[CacheSummary], look: &Look) -> String {
    let mut table = Table::new([Column::text("CACHE"), Column::text("PUBLIC KEY")]);
    for cache in caches {
        for key in &cache.public_keys {
            table.add([cache.name.as_str().into(), key.as_str().into()]);
        }
    }
    table.render(look)
}

/// All about a cache.
pub fn render(cache: &CacheInfo, look: &Look) -> String {
    let summary = &cache.summary;
    let disabled = if summary.enabled { "" } else { ", disabled" };
    let retention = match cache.retention_days {
        Some(days) => format!("{days} days after the last use"),
        None => "forever".to_owned(),
    };
    let port = cache.port.map_or_else(|| "-".to_owned(), |port| port.to_string());
    let mut fields = Fields::new();
    fields
        .add("URL", &summary.url)
        .add("Access", format!("{}{disabled}", access(summary.access)))
        .add("Signing", signing(summary.signing))
        .add("Paths", count(summary.paths))
        .add("Stored", size_exact(summary.file_bytes))
        .add("Unpacked", size_exact(summary.nar_bytes))
        .add("Keeps paths", retention)
        .add("Compression", &cache.compression)
        .add("Priority", cache.priority.to_string())
        .add("Port", port)
        .add_list("Upstreams", &cache.upstreams)
        .add_list("Public keys", &summary.public_keys);

    let mut sections = vec![
        format!("{}\n{}", look.bold(&plain(&summary.name)), fields.render(look)),
        storage::brief_table(&cache.storages, look),
        keys(&cache.keys, look),
    ];
    for step in &cache.setup {
        let mut section = format!("{}\n", look.bold(&plain(&step.title)));
        for line in &step.lines {
            section.push_str(&format!("  {}\n", plain(line)));
        }
        sections.push(section);
    }
    sections.join("\n")
}

fn keys(keys: &[KeyInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("SIGNING KEY"),
        Column::text("ORIGIN"),
        Column::text("SINCE"),
        Column::text("STATE"),
    ]);
    for key in keys {
        let origin = match key.origin {
            KeyOrigin::Generated => "made here",
            KeyOrigin::File => "a file",
            KeyOrigin::Client => "a client",
        };
        let ago = |time| relative(look.now, time);
        let state = match key.retired_at {
            None => Cell::new("in use", Tone::Good),
            Some(time) => Cell::new(format!("retired {}", ago(time)), Tone::Odd),
        };
        let name = key.name.as_str().into();
        table.add([name, origin.into(), ago(key.created_at).into(), state]);
    }
    table.render(look)
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Public => "public",
        Access::Private => "private",
    }
}

fn signing(signing: Signing) -> &'static str {
    match signing {
        Signing::Auto => "auto: by the server until a client registers a key",
        Signing::Server => "by the server",
        Signing::Client => "by the clients",
    }
}
