use admin_api::{ApiError, ErrorCode, PathInfo};

use crate::args::{Path, StoreHash};
use crate::client::Client;
use crate::error::Error;
use crate::output::{Fields, Look, Output, date, plain, relative, size_exact};

/// `cachectl path …`
pub async fn run(command: Path, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Path::Info { path, cache: Some(cache) } => {
            let info = client.path(&cache, path.as_str()).await?;
            output.print(&info, |look| render(&info, look))
        }
        Path::Info { path, cache: None } => {
            let infos = find_everywhere(&path, client).await?;
            output.print(&infos, |look| {
                let texts: Vec<_> = infos.iter().map(|info| render(info, look)).collect();
                texts.join("\n")
            })
        }
    }
}

/// What every cache that holds the path says about it; never empty.
async fn find_everywhere(hash: &StoreHash, client: &Client) -> Result<Vec<PathInfo>, Error> {
    let mut found = Vec::new();
    let mut caches = Vec::new();
    for cache in client.caches().await? {
        match client.path(&cache.name, hash.as_str()).await {
            Ok(info) => found.push(info),
            Err(Error::Daemon(ApiError { code: ErrorCode::NotFound, .. })) => {}
            Err(error) => return Err(error),
        }
        caches.push(cache.name);
    }
    if found.is_empty() {
        return Err(Error::NoCacheHolds { hash: hash.to_string(), caches });
    }
    Ok(found)
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
