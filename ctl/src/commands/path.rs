//! Store paths: which there are, all about one, why one is kept, and away with one.

use admin_api::{
    DeletePath, DeletedPaths, ListPaths, MAX_PATHS_PER_PAGE, PathInfo, PathList, PathRow, PathWhy,
};
use serde::Serialize;

use super::cache::the_one;
use crate::args::{self, Path, StorePath, WhichPath};
use crate::client::{Client, is_not_found};
use crate::error::Error;
use crate::output::{
    Cell, Column, Fields, Look, Output, Table, Tone, base_name, counted, date, plain, relative, say, size,
    size_exact,
};

/// Why a cache keeps a path, or does not, as `--json` shows it.
#[derive(Debug, Serialize)]
pub struct CacheWhy {
    /// The cache.
    pub cache: String,
    /// The reason; its fields stand beside the cache.
    #[serde(flatten)]
    pub why: PathWhy,
}

/// `cachectl path …`
pub async fn run(command: Path, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Path::List(wanted) => list(wanted, client, output).await,
        Path::Info(which) => {
            let look_up = async |cache: &str| client.path(cache, which.path.hash()).await;
            show(&which, look_up, render, client, output).await
        }
        Path::Why(which) => why(which, client, output).await,
        Path::Delete { path, cache, recursive } => {
            let cache = the_one(cache, client).await?;
            let deleted = client.delete_path(&cache, path.hash(), DeletePath { recursive }).await?;
            output.print(&deleted, |_| render_deleted(&cache, &deleted))
        }
    }
}

/// `cachectl path why`
pub async fn why(which: WhichPath, client: &Client, output: &Output) -> Result<(), Error> {
    let look_up = async |cache: &str| {
        let why = client.path_why(cache, which.path.hash()).await?;
        Ok(CacheWhy { cache: cache.to_owned(), why })
    };
    show(&which, look_up, render_why, client, output).await
}

async fn list(wanted: args::ListPaths, client: &Client, output: &Output) -> Result<(), Error> {
    let cache = the_one(wanted.cache, client).await?;
    let mut left = if wanted.all { u64::MAX } else { wanted.limit.into() };
    let mut list = PathList { paths: Vec::new(), next: wanted.after.map(|path| path.hash().to_owned()) };
    while left > 0 {
        let limit = u32::try_from(left).unwrap_or(u32::MAX).min(MAX_PATHS_PER_PAGE);
        let wanted = ListPaths { after: list.next, limit: Some(limit), query: wanted.query.clone() };
        let page = client.paths(&cache, &wanted).await?;
        if page.next.is_some() && page.next <= wanted.after {
            return Err(Error::EndlessList { cache });
        }
        left = left.saturating_sub(page.paths.len() as u64);
        list.paths.extend(page.paths);
        list.next = page.next;
        if list.next.is_none() {
            break;
        }
    }
    output.print(&list, |look| table(&list.paths, look))?;
    if let (false, Some(next)) = (output.json, &list.next) {
        say(&format!("There are more: add --all, or --after {}.", plain(next)));
    }
    Ok(())
}

/// Shows what `look_up` says of a path in one cache, or in all that hold it.
async fn show<T: Serialize>(
    which: &WhichPath,
    look_up: impl AsyncFn(&str) -> Result<T, Error>,
    render: impl Fn(&T, &Look) -> String,
    client: &Client,
    output: &Output,
) -> Result<(), Error> {
    if let Some(cache) = &which.cache {
        let found = look_up(cache).await?;
        return output.print(&found, |look| render(&found, look));
    }
    let found = find_everywhere(&which.path, look_up, client).await?;
    output.print(&found, |look| {
        let texts: Vec<_> = found.iter().map(|found| render(found, look)).collect();
        texts.join("\n")
    })
}

/// What every cache that holds the path says about it; never empty.
async fn find_everywhere<T>(
    path: &StorePath,
    look_up: impl AsyncFn(&str) -> Result<T, Error>,
    client: &Client,
) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    let mut caches = Vec::new();
    for cache in client.caches().await? {
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

/// A table of paths.
pub fn table(paths: &[PathRow], look: &Look) -> String {
    let mut table = Table::new([
        Column::number("STORED"),
        Column::text("LAST USED"),
        Column::text("STATE").unless_empty(),
        Column::text("PATH"),
    ]);
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

/// Why a cache keeps a path, or does not.
pub fn render_why(CacheWhy { cache, why }: &CacheWhy, look: &Look) -> String {
    let goes = match why.goes_at {
        Some(time) if time > look.now => {
            format!("{} ({}), if nothing changes", date(time), relative(look.now, time))
        }
        None if why.live => "not as long as that is so".to_owned(),
        _ => "with the next garbage collection".to_owned(),
    };
    let mut fields = Fields::new();
    fields
        .add("Cache", cache)
        .add("State", if why.live { "kept" } else { "not kept" })
        .add("Why", &why.reason)
        .add("Goes", goes);
    // The path itself comes first; alone it tells nothing.
    if let [_, referrers @ ..] = why.chain.as_slice()
        && !referrers.is_empty()
    {
        fields.add_list("Referred to by", referrers);
    }
    format!("{}\n{}", look.bold(&plain(&why.store_path)), fields.render(look))
}

/// What was deleted.
pub fn render_deleted(cache: &str, deleted: &DeletedPaths) -> String {
    let paths = counted(deleted.paths.len() as u64, "path");
    let mut text = format!("Deleted {paths} from {} ({} freed):\n", plain(cache), size(deleted.bytes_freed));
    for path in &deleted.paths {
        text.push_str(&format!("  {}\n", plain(path)));
    }
    if deleted.postponed > 0 {
        let paths = counted(deleted.postponed, "path");
        text.push_str(&format!(
            "The files of {paths} go with the next `cachectl gc`: their storage does not answer.\n"
        ));
    }
    text
}

/// All about a path in a cache.
pub fn render(info: &PathInfo, look: &Look) -> String {
    let when = |time| format!("{} ({})", date(time), relative(look.now, time));
    let state = if info.damaged { "damaged: hidden until it is pushed again" } else { "ok" };
    let mut fields = Fields::new();
    fields
        .add("Cache", &info.cache)
        .add("State", state)
        .add("Pushed", when(info.created_at))
        .add("Last used", info.last_used_at.map_or_else(|| "never".to_owned(), when))
        .add("NAR hash", &info.nar_hash)
        .add("NAR size", size_exact(info.nar_size))
        .add("File hash", &info.file_hash)
        .add("File size", size_exact(info.file_size))
        .add("Compression", &info.compression)
        .add("URL", &info.url)
        .add("Storage", &info.storage)
        .add("Deriver", info.deriver.as_deref().unwrap_or("-"))
        .add_list("References", &info.references)
        .add_list("Signatures", &info.signatures);
    format!("{}\n{}", look.bold(&plain(&info.store_path)), fields.render(look))
}
