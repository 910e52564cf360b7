use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use admin_api::{AddKey, KeyInfo, KeyOrigin, RetireKey};
use serde::Serialize;

use super::cache::the_one;
use crate::args::Key;
use crate::client::Client;
use crate::error::Error;
use crate::output::{Cell, Column, Look, Output, Table, Tone, plain, relative};

/// No key is longer, so a wrong file is not read to its end.
const MAX_KEY_BYTES: u64 = 4096;

/// A key and whose it is, as `--json` shows it.
#[derive(Debug, Serialize)]
pub struct CacheKey {
    /// The cache.
    pub cache: String,
    /// The key; its fields stand beside the cache.
    #[serde(flatten)]
    pub key: KeyInfo,
}

/// `cachectl key …`
pub async fn run(command: Key, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Key::List { cache } => {
            let keys = list(cache, client).await?;
            output.print(&keys, |look| render(&keys, look))
        }
        Key::Add { cache, file } => {
            // First, so that a wrong file is told even without a daemon.
            let secret_key = file.map(|file| read_secret(&file)).transpose()?;
            let cache = the_one(cache, client).await?;
            let key = client.add_key(&cache, &AddKey { secret_key }).await?;
            output.print(&key, |_| added(&cache, &key))
        }
        Key::Retire { key, cache } => {
            let (cache, public_key) = find_in_use(cache, key, client).await?;
            let retired = client.retire_key(&cache, &RetireKey { public_key }).await?;
            output.print(&retired, |_| {
                let (name, cache) = (plain(&retired.key.name), plain(&cache));
                let notice =
                    retired.notice.as_deref().map_or_else(String::new, |text| format!("{}\n", plain(text)));
                format!("Retired the key {name} of {cache}. What it has signed stays valid.\n{notice}")
            })
        }
    }
}

async fn list(cache: Option<String>, client: &Client) -> Result<Vec<CacheKey>, Error> {
    let names = match cache {
        Some(cache) => vec![cache],
        None => client.caches().await?.into_iter().map(|cache| cache.name).collect(),
    };
    let mut keys = Vec::new();
    for cache in names {
        let of_cache = client.cache(&cache).await?.keys.into_iter();
        keys.extend(of_cache.map(|key| CacheKey { cache: cache.clone(), key }));
    }
    Ok(keys)
}

/// The cache, and the public half of the key that the user named, by itself or by its name, of those that still sign. Names
/// of keys hold that of their cache, so the cache need not be named.
async fn find_in_use(
    cache: Option<String>,
    named: String,
    client: &Client,
) -> Result<(String, String), Error> {
    let caches = match cache {
        Some(cache) => vec![cache],
        None => client.caches().await?.into_iter().map(|cache| cache.name).collect(),
    };
    let is_meant = |key: &KeyInfo| key.retired_at.is_none() && (key.name == named || key.public_key == named);
    let mut found: Vec<(String, String)> = Vec::new();
    for cache in &caches {
        let keys = client.cache(cache).await?.keys.into_iter().filter(is_meant);
        found.extend(keys.map(|key| (cache.clone(), key.public_key)));
    }
    match (found.len(), caches.len()) {
        (1, _) => Ok(found.remove(0)),
        (0, 0) => Err(Error::NoCaches),
        (0, several) if several > 1 => Err(Error::NoSuchKey { key: named }),
        _ => {
            let of = |(cache, _): (String, String)| cache;
            let mut caches: Vec<String> =
                if found.is_empty() { caches } else { found.into_iter().map(of).collect() };
            let keys = caches.len();
            caches.dedup();
            match caches.len() {
                1 => Err(Error::WhichKey { cache: caches.remove(0), key: named, several: keys > 1 }),
                _ => Err(Error::WhichCache { caches }),
            }
        }
    }
}

/// The key in a file, or on standard input. Never part of an error.
fn read_secret(file: &Path) -> Result<String, Error> {
    let fails = |reason: String| Error::KeyFile { from: file.to_owned(), reason };
    let reader: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(|error| fails(error.to_string()))?)
    };
    let mut text = String::new();
    reader.take(MAX_KEY_BYTES).read_to_string(&mut text).map_err(|error| fails(error.to_string()))?;
    match text.trim().split_once(':') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() && !key.contains(char::is_whitespace) => {
            Ok(text.trim().to_owned())
        }
        _ => Err(fails("it holds no single NAME:BASE64".to_owned())),
    }
}

/// The keys of some caches, with the public halves apart: those are too long to stand beside anything else.
pub fn render(keys: &[CacheKey], look: &Look) -> String {
    let mut public_keys = Table::new([Column::text("CACHE"), Column::text("PUBLIC KEY")]);
    for CacheKey { cache, key } in keys {
        public_keys.add([cache.as_str().into(), key.public_key.as_str().into()]);
    }
    let keys = keys.iter().map(|CacheKey { cache, key }| (Some(cache.as_str()), key));
    format!("{}\n{}", table(keys, look), public_keys.render(look))
}

/// A table of keys, without that of their caches where that is not told.
pub fn table<'a>(keys: impl Iterator<Item = (Option<&'a str>, &'a KeyInfo)>, look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE").unless_empty(),
        Column::text("SIGNING KEY"),
        Column::text("ORIGIN"),
        Column::text("SINCE"),
        Column::text("STATE"),
    ]);
    for (cache, key) in keys {
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
        table.add([cache.into(), name, origin.into(), ago(key.created_at).into(), state]);
    }
    table.render(look)
}

fn added(cache: &str, key: &KeyInfo) -> String {
    let (name, cache, public_key) = (plain(&key.name), plain(cache), plain(&key.public_key));
    format!("Added the key {name} to {cache}. For the trusted-public-keys of its clients:\n  {public_key}\n")
}
