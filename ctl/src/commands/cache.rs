use std::io::{self, IsTerminal as _, Write as _};

use admin_api::{Access, CacheInfo, CacheSummary, JobRequest, Signing};

use super::{key, storage};
use crate::args::Cache;
use crate::client::Client;
use crate::error::Error;
use crate::follow::follow;
use crate::output::{
    Cell, Column, Fields, Look, Output, Table, Tone, count, counted, plain, size, size_exact,
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
        Cache::Delete { name, yes } => {
            if !yes {
                confirm(&name, client).await?;
            }
            follow(&JobRequest::DeleteCache { cache: name }, client, output).await
        }
    }
}

/// Lets the user type the name of the cache that is to be deleted, having told what it holds.
async fn confirm(name: &str, client: &Client) -> Result<(), Error> {
    let unconfirmed = |reason| Err(Error::Unconfirmed { cache: name.to_owned(), reason });
    if !io::stdin().is_terminal() {
        return unconfirmed("nobody is there to be asked");
    }
    let caches = client.caches().await?;
    let Some(cache) = caches.iter().find(|cache| cache.name == name) else {
        let caches = caches.into_iter().map(|cache| cache.name).collect();
        return Err(Error::NoSuchCache { name: name.to_owned(), caches });
    };
    let (paths, bytes) = (counted(cache.paths, "path"), size(cache.file_bytes));
    // A question that cannot be shown is not answered either.
    let _ = write!(
        io::stderr(),
        "The cache {} and its {paths} ({bytes}) will be gone for good.\n\
        Type its name to delete it: ",
        plain(name)
    );
    let mut typed = String::new();
    match io::stdin().read_line(&mut typed) {
        Ok(_) if typed.trim() == name => Ok(()),
        _ => unconfirmed("its name was not typed"),
    }
}

/// The name of the cache that the user means: the one that was named, or else the only one there is.
pub async fn the_one(name: Option<String>, client: &Client) -> Result<String, Error> {
    if let Some(name) = name {
        return Ok(name);
    }
    let mut caches: Vec<_> = client.caches().await?.into_iter().map(|cache| cache.name).collect();
    match caches.len() {
        0 => Err(Error::NoCaches),
        1 => Ok(caches.remove(0)),
        _ => Err(Error::WhichCache { caches }),
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
        key::table(cache.keys.iter().map(|key| (None, key)), look),
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
