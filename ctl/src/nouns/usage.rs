//! How much the caches hold.

use admin_api::{
    AgeBucket, CacheSummary, PathRow, PhysicalUsage, ShowStatus, ShowUsage, StorageSummary, UsageBy,
};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::cache::{self, check_exists};
use super::storage;
use crate::cli::value;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::output::{
    Column, Look, Output, Table, base_name, count, note, percent, plain, relative, share, size,
};

/// `cachectl usage`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Show only this cache [default: all caches]
    #[arg(long, value_name = "NAME", add = complete::caches())]
    pub cache: Option<String>,
    /// How to group the figures [default: by cache and by storage]
    #[arg(long, value_enum)]
    pub by: Option<Grouping>,
    /// Also list this many of the paths with the largest files
    #[arg(long, value_name = "N", value_parser = value::positive)]
    pub top: Option<u32>,
    /// Count the NAR files on the storages, those that several caches share once. Looks at every file, so that a large disk may need
    /// a longer --timeout
    #[arg(long)]
    pub physical: bool,
}

/// How the figures are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Grouping {
    /// By storage
    Storage,
    /// By cache
    Cache,
    /// By the time since a path was last used
    Age,
}

/// The usage, as `--json` shows it. Figures that were not requested are `null`.
#[derive(Debug, Serialize)]
pub struct Usage {
    /// The figures of each cache.
    pub caches: Option<Vec<CacheSummary>>,
    /// The figures of each storage.
    pub storages: Option<Vec<StorageSummary>>,
    /// The figures by the time since the last use.
    pub by_age: Option<Vec<AgeBucket>>,
    /// The paths with the largest files.
    pub largest: Option<Vec<PathRow>>,
    /// What lies on the storages. Left out if it was not requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical: Option<PhysicalUsage>,
    /// The bytes of all caches, including those that are not shown.
    #[serde(skip)]
    pub all_bytes: u64,
}

/// `cachectl usage`
pub async fn run(arguments: Arguments, client: &Client, output: &Output) -> Result<(), Error> {
    let Arguments { cache, by, top, physical } = arguments;
    let status = client.call(&ShowStatus {}).await?;
    let (mut caches, mut storages) = (status.caches, status.storages);
    let all_bytes = caches.iter().map(|cache| cache.file_bytes).sum();
    if let Some(cache) = &cache {
        check_exists(cache, &caches)?;
        caches.retain(|shown| shown.name == *cache);
        storages.retain(|shown| shown.cache == *cache);
    }
    let is_shown = |grouping| by == Some(grouping) || (by.is_none() && !physical);
    let mut usage = Usage {
        caches: is_shown(Grouping::Cache).then_some(caches),
        storages: is_shown(Grouping::Storage).then_some(storages),
        by_age: None,
        largest: None,
        physical: None,
        all_bytes,
    };
    let is_by_age = by == Some(Grouping::Age);
    // The status has all other figures.
    if is_by_age || top.is_some() || physical {
        let by = by.map(|by| match by {
            Grouping::Storage => UsageBy::Storage,
            Grouping::Cache => UsageBy::Cache,
            Grouping::Age => UsageBy::Age,
        });
        let found = client.call(&ShowUsage { by, cache, top, physical: physical.then_some(true) }).await?;
        usage.by_age = is_by_age.then_some(found.by_age);
        usage.largest = top.is_some().then_some(found.largest);
        usage.physical = found.physical;
    }
    output.print(&usage, |look| render(&usage, look))
}

/// Renders the figures that were requested.
pub fn render(usage: &Usage, look: &Look) -> String {
    let sections = [
        usage.caches.as_ref().map(|caches| by_cache(caches, usage.all_bytes, look)),
        usage.storages.as_ref().map(|storages| by_storage(storages, look)),
        usage.by_age.as_ref().map(|ages| by_age(ages, look)),
        usage.largest.as_ref().map(|paths| largest(paths, look)),
        usage.physical.as_ref().map(|physical| by_place(physical, look)),
    ];
    let sections: Vec<_> = sections.into_iter().flatten().collect();
    sections.join("\n")
}

fn by_age(ages: &[AgeBucket], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("LAST USED"),
        Column::number("PATHS"),
        Column::number("STORED"),
        Column::number("SHARE"),
    ]);
    let all_bytes: u64 = ages.iter().map(|age| age.bytes).sum();
    for age in ages {
        table.add([
            age.label.as_str().into(),
            count(age.paths).into(),
            size(age.bytes).into(),
            percent(part(age.bytes, all_bytes)).into(),
        ]);
    }
    table.render(look)
}

fn largest(paths: &[PathRow], look: &Look) -> String {
    let mut table = Table::new([
        Column::number("STORED"),
        Column::text("LAST USED"),
        Column::text("CACHE"),
        Column::long("PATH"),
    ]);
    for path in paths {
        table.add([
            size(path.file_size).into(),
            path.last_used_at.map_or_else(|| "never".to_owned(), |time| relative(look.now, time)).into(),
            path.cache.as_str().into(),
            base_name(&path.store_path).into(),
        ]);
    }
    table.render(look)
}

/// The figures of each directory and bucket, then their sum.
fn by_place(physical: &PhysicalUsage, look: &Look) -> String {
    let mut table = Table::new([
        Column::text("STORAGE"),
        Column::prose("CACHES"),
        Column::number("FILES"),
        Column::number("STORED"),
        Column::number("PHYSICAL"),
    ]);
    for storage in &physical.storages {
        let figures = match storage.error {
            None => [count(storage.files), size(storage.file_bytes), size(storage.physical_bytes)],
            Some(_) => Default::default(),
        };
        let [files, stored, physically] = figures.map(Into::into);
        table.add([
            storage.name.as_str().into(),
            storage.caches.join(", ").into(),
            files,
            stored,
            physically,
        ]);
    }
    if physical.storages.len() > 1 {
        let files = physical.storages.iter().map(|storage| storage.files).sum();
        table.add([
            "all".into(),
            "".into(),
            count(files).into(),
            size(physical.file_bytes).into(),
            size(physical.physical_bytes).into(),
        ]);
    }
    let problems = physical.storages.iter().filter_map(|storage| {
        let error = storage.error.as_ref()?;
        Some(note(&format!("{} was not counted: {error}", plain(&storage.location)), look))
    });
    table.render(look) + &problems.collect::<String>()
}

/// The part that `bytes` are of `whole`, from 0 to 1; 0 of nothing.
fn part(bytes: u64, whole: u64) -> f64 {
    if whole > 0 { bytes as f64 / whole as f64 } else { 0.0 }
}

fn by_cache(caches: &[CacheSummary], all_bytes: u64, look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::number("PATHS"),
        Column::number("STORED"),
        Column::number("WITH COPIES").unless_empty(),
        Column::number("SHARE"),
        Column::text("STATE"),
    ]);
    for cache in caches {
        let physically =
            cache.copies.map(|copies| size(cache.file_bytes + copies.there_bytes + copies.leaving_bytes));
        table.add([
            cache.name.as_str().into(),
            count(cache.paths).into(),
            size(cache.file_bytes).into(),
            physically.unwrap_or_default().into(),
            percent(part(cache.file_bytes, all_bytes)).into(),
            cache::state(cache),
        ]);
    }
    table.render(look)
}

fn by_storage(storages: &[StorageSummary], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE"),
        Column::long("STORAGE"),
        Column::number("FILES"),
        Column::number("STORED"),
        Column::number("TRASH").unless_empty(),
        Column::number("FREE"),
        Column::number("SHARE"),
        Column::text("STATE"),
    ]);
    for storage in storages {
        table.add([
            storage.cache.as_str().into(),
            storage.name.as_str().into(),
            count(storage.nars).into(),
            size(storage.used_bytes).into(),
            storage::trash(storage).into(),
            storage.free_bytes.map(size).unwrap_or_default().into(),
            share(storage.share_actual, storage.share_wanted).into(),
            storage::state(storage),
        ]);
    }
    table.render(look)
        + &storages.iter().map(|storage| storage::others(storage, look)).collect::<String>()
        + &storages.iter().map(|storage| storage::last_error(storage, look)).collect::<String>()
}
