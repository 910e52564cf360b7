//! The storages of caches.

use admin_api::{JobRequest, ShowStatus, StorageKind, StorageState, StorageSummary};
use clap::{Args, Subcommand};

use super::cache::check_exists;
use super::problems;
use crate::cli::value;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::follow::follow_job;
use crate::output::{Cell, Column, Look, Output, Table, Tone, age, count, note, plain, share, size};

/// `cachectl storage …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the storages with their state, size and share of the cache
    #[command(after_help = "Examples:\n  \
        cachectl storage list\n  \
        cachectl storage list --json | jq '.[] | select(.damaged > 0)'")]
    List {
        /// List only storages of this cache [default: all caches]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
    },
    /// Move all files off a storage
    ///
    /// The strategy of the cache decides where they move.
    ///
    /// First set `draining: true` for the storage in the config, so that no new files go there. The job continues when
    /// this command ends, and a repeated command resumes a job that was stopped. Exits with 8 if files remain there.
    #[command(after_help = "Examples:\n  \
        cachectl storage drain old-disk\n  \
        cachectl storage drain old-disk --cache main")]
    Drain {
        /// The storage to empty
        #[arg(add = complete::storages())]
        name: String,
        /// The cache of the storage [default: the only one with such a storage]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
    },
    /// Move files until each storage has its configured share
    #[command(after_help = "Examples:\n  \
        cachectl storage rebalance\n  \
        cachectl storage rebalance --cache main")]
    Rebalance {
        /// Rebalance only this cache [default: all caches]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
    },
    /// Read every file, and compare it with its hash
    ///
    /// If a file is damaged, its paths are hidden until they are pushed again, and this command exits with 9. The scrub
    /// resumes where the last one stopped.
    #[command(after_help = "Examples:\n  \
        cachectl storage scrub\n  \
        cachectl storage scrub old-disk --cache main --rate 50MB")]
    Scrub(Scrub),
}

/// `cachectl storage scrub`
#[derive(Debug, Args)]
pub struct Scrub {
    /// Scrub only this storage [default: all storages]
    #[arg(add = complete::storages())]
    pub name: Option<String>,
    /// Scrub only this cache [default: all caches]
    #[arg(long, value_name = "NAME", add = complete::caches())]
    pub cache: Option<String>,
    /// The most to read per second, such as 50MB [default: the daemon's limit]
    #[arg(long, value_name = "SIZE", value_parser = value::rate)]
    pub rate: Option<u64>,
    /// Start over
    #[arg(long)]
    pub restart: bool,
}

/// `cachectl storage …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    let request = match command {
        Command::List { cache } => return list(cache, client, output).await,
        Command::Drain { name, cache } => JobRequest::Drain { cache, storage: name },
        Command::Rebalance { cache } => JobRequest::Rebalance { cache },
        Command::Scrub(Scrub { name, cache, rate, restart }) => {
            JobRequest::Scrub { cache, storage: name, rate, restart }
        }
    };
    follow_job(&request, client, output).await
}

async fn list(cache: Option<String>, client: &Client, output: &Output) -> Result<(), Error> {
    let status = client.call(&ShowStatus {}).await?;
    let mut storages = status.storages;
    if let Some(cache) = cache {
        check_exists(&cache, &status.caches)?;
        storages.retain(|storage| storage.cache == cache);
    }
    let caches = status.caches;
    let missing = caches.iter().filter_map(|cache| {
        let copies = cache.copies.filter(|copies| copies.missing > 0)?;
        let is_shown = storages.iter().any(|storage| storage.cache == cache.name);
        is_shown.then(|| problems::missing_copies(&plain(&cache.name), &copies))
    });
    let missing: Vec<String> = missing.collect();
    output.print(&storages, |look| {
        let notes = missing.iter().map(|text| note(text, look));
        table(&storages, look) + &notes.collect::<String>()
    })
}

/// Renders the storages in the status, and the errors of those that do not work below.
pub fn status_table(storages: &[StorageSummary], look: &Look) -> String {
    short_table(storages, look, Column::number("SHARE"), |storage| {
        share(storage.share_actual, storage.share_wanted).into()
    })
}

/// Renders the storages of one cache with their locations, and the errors of those that do not work below.
pub fn brief_table(storages: &[StorageSummary], look: &Look) -> String {
    short_table(storages, look, Column::long("LOCATION"), |storage| storage.location.as_str().into())
}

/// Renders the few figures that every list of storages has, and one more column.
fn short_table(
    storages: &[StorageSummary],
    look: &Look,
    last: Column,
    last_of: impl Fn(&StorageSummary) -> Cell,
) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::text("STORAGE"),
        Column::text("STATE"),
        Column::number("USED"),
        Column::number("TRASH").unless_empty(),
        Column::number("FREE"),
        last,
    ]);
    for storage in storages {
        table.add([
            storage.cache.as_str().into(),
            storage.name.as_str().into(),
            state(storage),
            size(storage.used_bytes).into(),
            trash(storage).into(),
            storage.free_bytes.map(size).unwrap_or_default().into(),
            last_of(storage),
        ]);
    }
    let not_ok = storages.iter().filter(|storage| storage.state != StorageState::Ok);
    table.render(look) + &not_ok.map(|storage| last_error(storage, look)).collect::<String>()
}

/// Renders a table of storages, and the last error of each below.
pub fn table(storages: &[StorageSummary], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::long("STORAGE"),
        Column::text("KIND"),
        Column::number("TIER").unless_empty(),
        Column::text("STATE"),
        Column::number("USED"),
        Column::number("FREE"),
        Column::number("SHARE"),
        Column::number("COPIES").unless_empty(),
        Column::number("DAMAGED").unless_empty(),
    ]);
    let has_tiers = storages.iter().any(|storage| storage.tier > 0);
    for storage in storages {
        let tier = if has_tiers { storage.tier.to_string() } else { String::new() };
        let copies = if storage.copies > 0 { count(storage.copies) } else { String::new() };
        let damaged = match storage.damaged + storage.copies_damaged {
            0 => Cell::from(""),
            files => Cell::new(count(files), Tone::Bad),
        };
        table.add([
            storage.cache.as_str().into(),
            storage.name.as_str().into(),
            kind(storage.kind).into(),
            tier.into(),
            state(storage),
            size(storage.used_bytes).into(),
            storage.free_bytes.map(size).unwrap_or_default().into(),
            share(storage.share_actual, storage.share_wanted).into(),
            copies.into(),
            damaged,
        ]);
    }
    table.render(look)
        + &storages.iter().map(|storage| others(storage, look)).collect::<String>()
        + &storages.iter().map(|storage| last_error(storage, look)).collect::<String>()
}

/// The bytes in the trash, if there are any.
pub fn trash(storage: &StorageSummary) -> String {
    if storage.trash_bytes > 0 { size(storage.trash_bytes) } else { String::new() }
}

/// Says what a storage holds beside NARs, in a note. The little that every path has is not worth one: less than a hundredth of
/// the NARs.
pub fn others(storage: &StorageSummary, look: &Look) -> String {
    let by_products = (storage.by_product_bytes, "logs and listings");
    let uploads = (storage.upload_bytes, "unfinished uploads");
    let shown: Vec<String> = [by_products, uploads]
        .into_iter()
        .filter(|(bytes, _)| *bytes > storage.used_bytes / 100)
        .map(|(bytes, what)| format!("{} of {what}", size(bytes)))
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    let name = plain(&format!("{}/{}", storage.cache, storage.name));
    note(&format!("{name}: also {}", shown.join(", ")), look)
}

/// The state of a storage in a word: the one that most needs attention.
pub fn state(storage: &StorageSummary) -> Cell {
    match storage.state {
        StorageState::Failing => Cell::new("failing", Tone::Bad),
        StorageState::Disabled => Cell::new("disabled", Tone::Odd),
        StorageState::Ok | StorageState::Full if storage.draining => Cell::new("draining", Tone::Odd),
        StorageState::Full => Cell::new("full", Tone::Odd),
        StorageState::Ok => Cell::new("ok", Tone::Good),
    }
}

fn kind(kind: StorageKind) -> &'static str {
    match kind {
        StorageKind::Local => "local",
        StorageKind::S3 => "s3",
    }
}

/// Renders the last error of a storage in a line, if there was one.
pub fn last_error(storage: &StorageSummary, look: &Look) -> String {
    let Some(error) = &storage.last_error else {
        return String::new();
    };
    let duration =
        storage.since.map(|since| format!(" for {}", age(look.now.abs_diff(since)))).unwrap_or_default();
    let state = match storage.state {
        StorageState::Ok => "ok",
        StorageState::Full => "full",
        StorageState::Failing => "failing",
        StorageState::Disabled => "disabled",
    };
    let draining = if storage.draining { "draining, " } else { "" };
    // Without this, an old error would look like a current one.
    let before = if storage.state == StorageState::Ok { "; last error" } else { "" };
    let name = plain(&format!("{}/{}", storage.cache, storage.name));
    note(&format!("{name}: {draining}{state}{duration}{before}: {}", plain(error)), look)
}
