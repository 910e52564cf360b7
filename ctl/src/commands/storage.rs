//! The storages of caches, as several commands show them, and what can be done with them.

use admin_api::{JobRequest, StorageKind, StorageState, StorageSummary};

use super::cache::only;
use crate::args::{Scrub, Storage};
use crate::client::Client;
use crate::error::Error;
use crate::follow::follow;
use crate::output::{Cell, Column, Look, Output, Table, Tone, age, count, plain, share, size};

/// `cachectl storage …`
pub async fn run(command: Storage, client: &Client, output: &Output) -> Result<(), Error> {
    let request = match command {
        Storage::List { cache } => return list(cache, client, output).await,
        Storage::Drain { name, cache } => JobRequest::Drain { cache, storage: name },
        Storage::Rebalance { cache } => JobRequest::Rebalance { cache },
        Storage::Scrub(Scrub { name, cache, rate, restart }) => {
            JobRequest::Scrub { cache, storage: name, rate, restart }
        }
    };
    follow(&request, client, output).await
}

async fn list(cache: Option<String>, client: &Client, output: &Output) -> Result<(), Error> {
    let status = client.status().await?;
    let mut storages = status.storages;
    if let Some(cache) = only(cache, &status.caches)? {
        storages.retain(|storage| storage.cache == cache);
    }
    output.print(&storages, |look| table(&storages, look))
}

/// The storages in the status; what is wrong with one now is told below.
pub fn status_table(storages: &[StorageSummary], look: &Look) -> String {
    short_table(storages, look, Column::number("SHARE"), |storage| {
        share(storage.share_actual, storage.share_wanted).into()
    })
}

/// The storages of one cache and where they are; what is wrong with one now is told below.
pub fn brief_table(storages: &[StorageSummary], look: &Look) -> String {
    short_table(storages, look, Column::text("LOCATION"), |storage| storage.location.as_str().into())
}

/// The few figures that every list of storages has, and one more of each.
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
        Column::number("FREE"),
        last,
    ]);
    for storage in storages {
        table.add([
            storage.cache.as_str().into(),
            storage.name.as_str().into(),
            state(storage),
            size(storage.used_bytes).into(),
            storage.free_bytes.map(size).unwrap_or_default().into(),
            last_of(storage),
        ]);
    }
    let in_trouble = storages.iter().filter(|storage| storage.state != StorageState::Ok);
    table.render(look) + &in_trouble.map(|storage| trouble(storage, look)).collect::<String>()
}

/// A table of storages; what is, or was, wrong with one is told below.
pub fn table(storages: &[StorageSummary], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::text("STORAGE"),
        Column::text("KIND"),
        Column::text("STATE"),
        Column::number("USED"),
        Column::number("FREE"),
        Column::number("SHARE"),
        Column::number("DAMAGED").unless_empty(),
    ]);
    for storage in storages {
        let damaged = match storage.damaged {
            0 => Cell::from(""),
            files => Cell::new(count(files), Tone::Bad),
        };
        table.add([
            storage.cache.as_str().into(),
            storage.name.as_str().into(),
            kind(storage.kind).into(),
            state(storage),
            size(storage.used_bytes).into(),
            storage.free_bytes.map(size).unwrap_or_default().into(),
            share(storage.share_actual, storage.share_wanted).into(),
            damaged,
        ]);
    }
    table.render(look) + &storages.iter().map(|storage| trouble(storage, look)).collect::<String>()
}

/// How a storage is, in a word: the one that asks for most.
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

/// A line about what went wrong last with a storage, if anything did.
pub fn trouble(storage: &StorageSummary, look: &Look) -> String {
    let Some(error) = &storage.last_error else {
        return String::new();
    };
    let lasts =
        storage.since.map(|since| format!(" for {}", age(look.now.abs_diff(since)))).unwrap_or_default();
    let state = match storage.state {
        StorageState::Ok => "ok",
        StorageState::Full => "full",
        StorageState::Failing => "failing",
        StorageState::Disabled => "disabled",
    };
    let draining = if storage.draining { "draining, " } else { "" };
    // Without it, an error that is long over would look like one of now.
    let before = if storage.state == StorageState::Ok { ", before that" } else { "" };
    let name = plain(&format!("{}/{}", storage.cache, storage.name));
    format!("{name}: {draining}{state}{lasts}{before}: {}\n", plain(error))
}
