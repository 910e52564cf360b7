//! The trash of caches.

use admin_api::{EmptiedTrash, EmptyTrash, ListTrash, RestoredPaths, TrashList, TrashRow};
use clap::Subcommand;

use super::cache::named_or_only;
use super::pages;
use crate::cli::value;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::output::{
    Cell, Column, Look, Output, Table, Tone, base_name, counted, plain, relative, say, size,
};

/// `cachectl trash …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the removed paths that can be restored, those that go first first
    #[command(after_help = "Examples:\n  \
        cachectl trash list\n  \
        cachectl trash list --cache main --all --json | jq -r '.paths[].store_path'")]
    List {
        /// The cache [default: the only cache]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
        /// The most paths to list
        #[arg(long, value_name = "N", default_value = "100", value_parser = value::positive)]
        limit: u32,
        /// List all paths
        #[arg(long, conflicts_with = "limit")]
        all: bool,
    },
    /// Remove everything in the trash of a cache for good
    #[command(after_help = "Example:\n  cachectl trash empty --cache main")]
    Empty {
        /// The cache [default: the only cache]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
    },
}

/// `cachectl trash …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List { cache, limit, all } => {
            let limit = if all { u64::MAX } else { limit.into() };
            list(named_or_only(cache, client).await?, limit, client, output).await
        }
        Command::Empty { cache } => {
            let request = EmptyTrash { cache: named_or_only(cache, client).await? };
            let emptied = client.call(&request).await?;
            output.print(&emptied, |_| render_emptied(&request.cache, &emptied))
        }
    }
}

async fn list(cache: String, most: u64, client: &Client, output: &Output) -> Result<(), Error> {
    let fetch = async |after, limit| {
        let page = client.call(&ListTrash { cache: cache.clone(), after, limit: Some(limit) }).await?;
        Ok((page.paths, page.next))
    };
    let (paths, next) = pages::collect(&cache, None, most, |next, after| next != after, fetch).await?;
    let list = TrashList { paths, next };
    output.print(&list, |look| table(&list.paths, look))?;
    if !output.json && list.next.is_some() {
        say("There are more paths: pass --all.");
    }
    Ok(())
}

/// Renders a table of paths in the trash.
pub fn table(paths: &[TrashRow], look: &Look) -> String {
    let mut table = Table::new([
        Column::number("STORED"),
        Column::text("REMOVED"),
        Column::text("GOES"),
        Column::text("STATE").unless_empty(),
        Column::long("PATH"),
    ])
    .or("The trash is empty.");
    for path in paths {
        table.add([
            size(path.file_size).into(),
            relative(look.now, path.trashed_at).into(),
            relative(look.now, path.goes_at).into(),
            if path.damaged { Cell::new("damaged", Tone::Bad) } else { "".into() },
            base_name(&path.store_path).into(),
        ]);
    }
    table.render(look)
}

/// Renders what was restored.
pub fn render_restored(cache: &str, restored: &RestoredPaths) -> String {
    let mut text =
        format!("Restored {} to {}:\n", counted(restored.paths.len() as u64, "path"), plain(cache));
    for path in &restored.paths {
        text.push_str(&format!("  {}\n", plain(path)));
    }
    if !restored.missing.is_empty() {
        let paths = counted(restored.missing.len() as u64, "path");
        text.push_str(&format!("{paths} that these refer to are neither in the cache nor in the trash:\n"));
        for path in &restored.missing {
            text.push_str(&format!("  {}\n", plain(path)));
        }
    }
    text
}

/// Renders what was removed for good.
pub fn render_emptied(cache: &str, emptied: &EmptiedTrash) -> String {
    let (paths, freed) = (counted(emptied.paths, "path"), size(emptied.bytes_freed));
    let mut text = format!("Removed {paths} from the trash of {} ({freed} freed).\n", plain(cache));
    if emptied.postponed > 0 {
        let paths = counted(emptied.postponed, "path");
        text.push_str(&format!("{paths} stay there because their storage does not answer.\n"));
    }
    text
}
