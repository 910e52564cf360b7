//! Caches.

use std::io::{self, IsTerminal as _, Write as _};

use admin_api::{
    Access, ApiError, CacheInfo, CacheSummary, ErrorCode, JobRequest, KeyOrigin, ListCaches, ShowCache,
    Signing,
};
use clap::Subcommand;

use super::{key, storage};
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::follow::follow_job;
use crate::output::{
    Cell, Column, Fields, Look, Output, Table, Tone, count, counted, note, plain, size, size_exact,
};

/// `cachectl cache …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the caches
    #[command(after_help = "Example:\n  cachectl cache list")]
    List,
    /// Describe a cache, and show how to set up its clients
    #[command(after_help = "Example:\n  cachectl cache info main")]
    Info {
        /// The name of the cache
        #[arg(add = complete::caches())]
        name: String,
    },
    /// Delete a cache with everything in it
    ///
    /// The cache must be disabled in the config, or no longer be there.
    ///
    /// On a terminal, asks for the name of the cache to confirm. If the daemon cannot find a storage of the cache any
    /// more, its files stay, and a message names them. Exits with 8 if some files could not be deleted.
    #[command(after_help = "Examples:\n  \
        cachectl cache delete old\n  \
        cachectl cache delete old --yes")]
    Delete {
        /// The name of the cache
        #[arg(add = complete::caches())]
        name: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// `cachectl cache …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List => {
            let caches = client.call(&ListCaches {}).await?;
            output.print(&caches, |look| table(&caches, look))
        }
        Command::Info { name } => {
            let cache = client.call(&ShowCache { cache: name }).await?;
            output.print(&cache, |look| render(&cache, look))
        }
        Command::Delete { name, yes } => {
            if !yes {
                confirm(&name, client).await?;
            }
            follow_job(&JobRequest::DeleteCache { cache: name }, client, output).await
        }
    }
}

/// Shows what a cache holds, and asks the user to type its name.
async fn confirm(name: &str, client: &Client) -> Result<(), Error> {
    let unconfirmed = |reason| Err(Error::Unconfirmed { cache: name.to_owned(), reason });
    let caches = client.call(&ListCaches {}).await?;
    check_exists(name, &caches)?;
    if caches.iter().any(|cache| cache.name == name && cache.enabled) {
        // As the daemon says it, but before the question.
        return Err(Error::Daemon(ApiError {
            code: ErrorCode::Conflict,
            message: format!("cache `{name}` is still in the config: remove or disable it first"),
            hint: Some(
                "remove its entry from the config, or set `enabled: false` there, and run `cachectl reload`"
                    .to_owned(),
            ),
        }));
    }
    if !io::stdin().is_terminal() {
        return unconfirmed("cannot ask for confirmation without a terminal");
    }
    let holds = caches.iter().find(|cache| cache.name == name).map_or_else(String::new, |cache| {
        format!(" and its {} ({})", counted(cache.paths, "path"), size(cache.file_bytes))
    });
    // If the question cannot be printed, there will be no answer either.
    let _ = write!(
        io::stderr(),
        "This deletes the cache {}{holds} permanently.\nType the name of the cache to confirm: ",
        plain(name)
    );
    let mut typed = String::new();
    match io::stdin().read_line(&mut typed) {
        Ok(_) if typed.trim() == name => Ok(()),
        _ => unconfirmed("the name was not typed"),
    }
}

/// Returns the cache that the user named, or else the only one that there is.
pub async fn named_or_only(name: Option<String>, client: &Client) -> Result<String, Error> {
    if let Some(name) = name {
        return Ok(name);
    }
    let mut caches: Vec<_> = client.call(&ListCaches {}).await?.into_iter().map(|cache| cache.name).collect();
    match caches.len() {
        0 => Err(Error::NoCaches),
        1 => Ok(caches.remove(0)),
        _ => Err(Error::WhichCache { caches }),
    }
}

/// Fails if none of the caches has this name.
pub fn check_exists(name: &str, caches: &[CacheSummary]) -> Result<(), Error> {
    if caches.iter().any(|cache| cache.name == name) {
        return Ok(());
    }
    let caches = caches.iter().map(|cache| cache.name.as_str());
    Err(Error::Daemon(ApiError::unknown("cache", name, caches)))
}

/// Renders a table of caches.
pub fn table(caches: &[CacheSummary], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::text("ACCESS"),
        Column::number("PATHS"),
        Column::number("STORED"),
        Column::number("UNPACKED"),
        Column::long("URL"),
    ])
    .or("No caches.");
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

/// Renders a line for each cache whose last collection was held back.
pub fn held_back(caches: &[CacheSummary], look: &Look) -> String {
    let held = caches.iter().filter(|cache| cache.gc_held_back > 0);
    let line = |cache: &CacheSummary| {
        let (name, paths) = (plain(&cache.name), counted(cache.gc_held_back, "path"));
        note(&format!("{name}: {paths} not collected, more than gc-max-share; run `cachectl gc`"), look)
    };
    held.map(line).collect()
}

/// Who may read a cache, or that it is disabled.
pub fn state(cache: &CacheSummary) -> Cell {
    if cache.enabled { access(cache.access).into() } else { Cell::new("disabled", Tone::Odd) }
}

/// Renders a table of the keys that clients trust. It is separate from the table of caches because keys are long.
pub fn public_keys(caches: &[CacheSummary], look: &Look) -> String {
    let mut table = Table::new([Column::text("CACHE"), Column::long("PUBLIC KEY")]);
    for cache in caches {
        for key in &cache.public_keys {
            table.add([cache.name.as_str().into(), key.as_str().into()]);
        }
    }
    table.render(look)
}

/// Renders all about a cache.
pub fn render(cache: &CacheInfo, look: &Look) -> String {
    let summary = &cache.summary;
    let disabled = if summary.enabled { "" } else { ", disabled" };
    let limit = match (cache.max_bytes, cache.collects_when_full) {
        (Some(most), true) => format!("{}; the least recently used goes when it is full", size(most)),
        (Some(most), false) => format!("{}; pushes are refused when it is full", size(most)),
        (None, true) => "that of its storages; the least recently used goes when they are full".to_owned(),
        (None, false) => "that of its storages".to_owned(),
    };
    let retention = match cache.retention_days {
        Some(days) => format!("{days} days after the last use"),
        None => "forever".to_owned(),
    };
    let port = cache.port.map_or_else(|| "-".to_owned(), |port| port.to_string());
    let mut fields = Fields::new();
    fields
        .add("URL", &summary.url)
        .add("Access", format!("{}{disabled}", access(summary.access)))
        .add("Signing", signing(cache))
        .add("Paths", count(summary.paths))
        .add("Stored", size_exact(summary.file_bytes))
        .add("Unpacked", size_exact(summary.nar_bytes))
        .add("Limit", limit)
        .add("Retention", retention)
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

/// Who signs now, and what may change that.
fn signing(cache: &CacheInfo) -> &'static str {
    let by_client = cache.keys.iter().any(|key| key.origin == KeyOrigin::Client && key.retired_at.is_none());
    match (cache.summary.signing, by_client) {
        (Signing::Auto, true) => "by the clients, since one registered a key (signing: auto)",
        (Signing::Auto, false) => "by the server until a client registers a key (signing: auto)",
        (Signing::Server, true) => "by the server and, with the key that a client registered, by clients",
        (Signing::Server, false) => "by the server",
        (Signing::Client, true) => "by the clients",
        (Signing::Client, false) => "by the clients, none of which has registered a key yet",
    }
}
