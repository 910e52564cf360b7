//! Store paths. The view is in `view`.

mod view;

use std::cmp::Ordering;

use admin_api::{
    DeletePath, ExplainPath, ListCaches, ListPaths, PathList, PathRow, PathWhy, RestorePath, ShowPath,
};
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use serde::Serialize;

use super::cache::named_or_only;
use super::pages::{self, Mark};
use super::trash::render_restored;
use crate::cli::value::{self, StorePath};
use crate::client::{Client, is_not_found};
use crate::complete;
use crate::error::Error;
use crate::output::{Look, Output, base_name, plain, say};
pub use view::{render, render_deleted, render_why, table};

/// `cachectl path …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the store paths of a cache
    #[command(after_help = "Examples:\n  \
        cachectl path list hello\n  \
        cachectl path list --cache main --sort size --limit 20\n  \
        cachectl path list --all --json | jq -r '.paths[] | select(.damaged) | .store_path'")]
    List(Query),
    /// Describe a store path
    ///
    /// With --cache, --json prints an object. Without it, --json prints an array with an object for each cache that holds
    /// the path.
    #[command(after_help = "Examples:\n  \
        cachectl path info /nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello-2.12.1\n  \
        cachectl path info 0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq --cache main")]
    Info(PathInCache),
    /// Show why garbage collection keeps a store path, or does not
    ///
    /// With --cache, --json prints an object. Without it, --json prints an array with an object for each cache that holds
    /// the path.
    #[command(after_help = "Example:\n  cachectl path why ./result")]
    Why(PathInCache),
    /// Delete a store path, no matter how recently it was used
    ///
    /// Refused if other paths refer to it, or if a pin holds it; remove the pin first. The path stays in the trash for a while,
    /// from where `path restore` brings it back. Clients can also push it again.
    #[command(after_help = "Examples:\n  \
        cachectl path delete /nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello-2.12.1\n  \
        cachectl path delete 0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq --cache main --recursive")]
    Delete {
        /// /nix/store/HASH-NAME, a link to it such as ./result, HASH-NAME or HASH
        #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
        path: StorePath,
        /// The cache to delete it from [default: the only cache]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
        /// Also delete all paths that refer to it, directly or indirectly
        #[arg(long)]
        recursive: bool,
        /// Remove the files at once; the path cannot be restored
        #[arg(long)]
        no_trash: bool,
    },
    /// Restore a deleted or collected path from the trash
    ///
    /// Also restores every path that it refers to, directly or indirectly, and that is in the trash too. The restored paths
    /// count as used now.
    #[command(after_help = "Example:\n  \
        cachectl path restore /nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello-2.12.1")]
    Restore {
        /// /nix/store/HASH-NAME, a link to it such as ./result, HASH-NAME or HASH
        #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
        path: StorePath,
        /// The cache to restore it to [default: the only cache]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
    },
}

/// A path to look up in one cache or in all of them.
#[derive(Debug, Args)]
pub struct PathInCache {
    /// /nix/store/HASH-NAME, a link to it such as ./result, HASH-NAME or HASH
    #[arg(value_hint = ValueHint::AnyPath)]
    pub path: StorePath,
    /// Look only in this cache [default: all caches]
    #[arg(long, value_name = "NAME", add = complete::caches())]
    pub cache: Option<String>,
}

/// `cachectl path list`
#[derive(Debug, Args)]
pub struct Query {
    /// List only paths whose HASH-NAME contains this text, ignoring case
    pub query: Option<String>,
    /// The cache to look in [default: the only cache]
    #[arg(long, value_name = "NAME", add = complete::caches())]
    pub cache: Option<String>,
    /// The most paths to list
    #[arg(long, value_name = "N", default_value = "100", value_parser = value::positive)]
    pub limit: u32,
    /// List all paths
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// List only paths after this one
    #[arg(long, value_name = "PATH", conflicts_with = "sort")]
    pub after: Option<StorePath>,
    /// The order of the list [default: that of the hashes]
    #[arg(long, value_enum)]
    pub sort: Option<Order>,
    /// Reverse the order
    #[arg(long, requires = "sort")]
    pub reverse: bool,
}

/// An order of paths.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Order {
    /// By name, from a to z
    Name,
    /// By the size of the compressed file, the largest first
    Size,
    /// By the last use, the most recent first, those that were never used last
    Used,
    /// By the time of the push, the newest first
    Created,
}

impl Order {
    fn compare(self, one: &PathRow, other: &PathRow) -> Ordering {
        // The name begins behind the hash.
        let name =
            |row: &PathRow| base_name(&row.store_path).split_once('-').map(|(_, name)| name.to_owned());
        match self {
            Self::Name => name(one).cmp(&name(other)),
            Self::Size => other.file_size.cmp(&one.file_size),
            Self::Used => other.last_used_at.cmp(&one.last_used_at),
            Self::Created => other.created_at.cmp(&one.created_at),
        }
        .then_with(|| one.store_path.cmp(&other.store_path))
    }
}

/// Why a cache keeps a path, or does not, as `--json` shows it.
#[derive(Debug, Serialize)]
pub struct CacheWhy {
    /// The name of the cache.
    pub cache: String,
    /// The reason. In JSON its fields are at the same level as the cache.
    #[serde(flatten)]
    pub why: PathWhy,
}

/// `cachectl path …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List(arguments) => list(arguments, client, output).await,
        Command::Info(wanted) => {
            let hash = wanted.path.hash();
            let look_up = async |cache: &str| {
                client.call(&ShowPath { cache: cache.to_owned(), hash: hash.to_owned() }).await
            };
            show(&wanted, look_up, render, client, output).await
        }
        Command::Why(wanted) => why(wanted, client, output).await,
        Command::Delete { path, cache, recursive, no_trash } => {
            let cache = named_or_only(cache, client).await?;
            let request = DeletePath { cache, hash: path.hash().to_owned(), recursive, no_trash };
            let deleted = client.call(&request).await?;
            output.print(&deleted, |look| render_deleted(&request.cache, &deleted, look))
        }
        Command::Restore { path, cache } => {
            let request =
                RestorePath { cache: named_or_only(cache, client).await?, hash: path.hash().to_owned() };
            let restored = client.call(&request).await?;
            output.print(&restored, |_| render_restored(&request.cache, &restored))
        }
    }
}

/// `cachectl path why`
pub async fn why(wanted: PathInCache, client: &Client, output: &Output) -> Result<(), Error> {
    let hash = wanted.path.hash();
    let look_up = async |cache: &str| {
        let request = ExplainPath { cache: cache.to_owned(), hash: hash.to_owned() };
        Ok(CacheWhy { cache: request.cache.clone(), why: client.call(&request).await? })
    };
    show(&wanted, look_up, render_why, client, output).await
}

async fn list(arguments: Query, client: &Client, output: &Output) -> Result<(), Error> {
    let cache = named_or_only(arguments.cache, client).await?;
    let most = if arguments.all { u64::MAX } else { arguments.limit.into() };
    let after = arguments.after.map(|path| path.hash().to_owned());
    let fetch = async |after, limit| {
        let query = arguments.query.clone();
        let page = client.call(&ListPaths { cache: cache.clone(), after, limit: Some(limit), query }).await?;
        Ok((page.paths, page.next))
    };
    // Pages follow the order of the hashes.
    let ahead = |next: &Mark, after: &Mark| next > after;
    let (paths, next) = match arguments.sort {
        None => pages::collect(&cache, after, most, ahead, fetch).await?,
        Some(order) => {
            let order = |one: &PathRow, other: &PathRow| {
                let ordering = order.compare(one, other);
                if arguments.reverse { ordering.reverse() } else { ordering }
            };
            pages::collect_first(&cache, most, order, ahead, fetch).await?
        }
    };
    let list = PathList { paths, next };
    output.print(&list, |look| table(&list.paths, look))?;
    if !output.json && arguments.sort.is_some() && list.paths.len() as u64 == most {
        say(&format!(
            "There may be more paths: pass --limit or --all. These are the first {most} of the order."
        ));
    }
    if let (false, Some(next)) = (output.json, &list.next) {
        say(&format!("There are more paths: pass --all, or --after {}.", plain(next)));
    }
    Ok(())
}

/// Shows what `look_up` finds about a path in one cache, or in every cache that holds it.
async fn show<T: Serialize>(
    wanted: &PathInCache,
    look_up: impl AsyncFn(&str) -> Result<T, Error>,
    render: impl Fn(&T, &Look) -> String,
    client: &Client,
    output: &Output,
) -> Result<(), Error> {
    if let Some(cache) = &wanted.cache {
        let found = look_up(cache).await?;
        return output.print(&found, |look| render(&found, look));
    }
    let found = find_everywhere(&wanted.path, look_up, client).await?;
    output.print(&found, |look| {
        let texts: Vec<_> = found.iter().map(|found| render(found, look)).collect();
        texts.join("\n")
    })
}

/// Returns what `look_up` finds in every cache that holds the path, which is at least one.
async fn find_everywhere<T>(
    path: &StorePath,
    look_up: impl AsyncFn(&str) -> Result<T, Error>,
    client: &Client,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    let mut caches = Vec::new();
    for cache in client.call(&ListCaches {}).await? {
        match look_up(&cache.name).await {
            Ok(answer) => found.push(answer),
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(error),
        }
        caches.push(cache.name);
    }
    if found.is_empty() {
        return Err(Error::NoCacheHolds { hash: path.hash().to_owned(), caches });
    }
    Ok(found)
}
