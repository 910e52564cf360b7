//! Signing keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use admin_api::{AddKey, KeyInfo, KeyOrigin, ListCaches, RetireKey, RetiredKey, ShowCache};
use clap::Subcommand;
use serde::Serialize;

use super::cache::named_or_only;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::output::{Cell, Column, Look, Output, Table, Tone, plain, relative};

/// The most bytes that are read from a key file, in case it is the wrong file.
const MAX_KEY_BYTES: u64 = 4096;

/// `cachectl key …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the signing keys, without their secret halves
    #[command(after_help = "Example:\n  cachectl key list --cache main")]
    List {
        /// List only keys of this cache [default: all caches]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
    },
    /// Add a key that signs from now on, in addition to the existing ones
    ///
    /// The key also signs the paths that the cache already holds, so clients may trust it alone. Clients need its public
    /// half, which is printed. If the config sets `signing-key-file` for the cache, keys can only be added there.
    #[command(after_help = "Examples:\n  \
        cachectl key add\n  \
        cachectl key add --cache main --file secret-key\n  \
        nix key generate-secret --key-name main-2 | cachectl key add --file -")]
    Add {
        /// The cache to add the key to [default: the only cache]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
        /// A file with the secret half, or - for standard input [default: generate a key]
        ///
        /// The file holds what `nix key generate-secret` prints.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Retire a key, so that it no longer signs
    ///
    /// Its signatures stay valid for clients that trust it, but the cache no longer publishes its public half. The last
    /// key of a cache cannot be retired.
    #[command(after_help = "Example:\n  cachectl key retire main.cache.example.org-1")]
    Retire {
        /// The name of the key, or its public half
        #[arg(add = complete::keys())]
        key: String,
        /// The cache of the key [default: the only cache with a key of that name]
        #[arg(long, value_name = "NAME", add = complete::caches())]
        cache: Option<String>,
    },
}

/// A key and its cache, as `--json` shows them.
#[derive(Debug, Serialize)]
pub struct CacheKey {
    /// The name of the cache.
    pub cache: String,
    /// The key. In JSON its fields are at the same level as the cache.
    #[serde(flatten)]
    pub key: KeyInfo,
}

/// `cachectl key …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List { cache } => {
            let keys = list(cache, client).await?;
            output.print(&keys, |look| render(&keys, look))
        }
        Command::Add { cache, file } => {
            // First, so that a wrong file is reported even if there is no daemon.
            let secret_key = file.map(|file| read_secret(&file)).transpose()?;
            let request = AddKey { cache: named_or_only(cache, client).await?, secret_key };
            let key = client.call(&request).await?;
            output.print(&key, |_| added(&request.cache, &key))
        }
        Command::Retire { key, cache } => {
            let (cache, public_key) = find_in_use(cache, key, client).await?;
            let request = RetireKey { cache, public_key };
            let key = client.call(&request).await?;
            output.print(&key, |_| retired(&request.cache, &key))
        }
    }
}

async fn list(cache: Option<String>, client: &Client) -> Result<Vec<CacheKey>, Error> {
    let names = match cache {
        Some(cache) => vec![cache],
        None => client.call(&ListCaches {}).await?.into_iter().map(|cache| cache.name).collect(),
    };
    let mut keys = Vec::new();
    for cache in names {
        let of_cache = client.call(&ShowCache { cache: cache.clone() }).await?.keys.into_iter();
        keys.extend(of_cache.map(|key| CacheKey { cache: cache.clone(), key }));
    }
    Ok(keys)
}

/// Finds the key in use that the user named, by its name or its public half. Returns its cache and its public half. The
/// name of a key usually includes that of its cache, so the user need not name the cache.
async fn find_in_use(
    cache: Option<String>,
    named: String,
    client: &Client,
) -> Result<(String, String), Error> {
    let caches = match cache {
        Some(cache) => vec![cache],
        None => client.call(&ListCaches {}).await?.into_iter().map(|cache| cache.name).collect(),
    };
    let is_meant = |key: &KeyInfo| key.retired_at.is_none() && (key.name == named || key.public_key == named);
    let mut found: Vec<(String, String)> = Vec::new();
    for cache in &caches {
        let keys = client.call(&ShowCache { cache: cache.clone() }).await?.keys.into_iter().filter(is_meant);
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

/// Reads the secret key in a file, or on standard input. The key is never part of an error.
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
        _ => Err(fails("it does not hold exactly one NAME:BASE64".to_owned())),
    }
}

/// Renders the keys of some caches, with the public halves in a table of their own because they are long.
pub fn render(keys: &[CacheKey], look: &Look) -> String {
    let mut public_keys = Table::new([Column::text("CACHE"), Column::long("PUBLIC KEY")]);
    for CacheKey { cache, key } in keys {
        public_keys.add([cache.as_str().into(), key.public_key.as_str().into()]);
    }
    let keys = keys.iter().map(|CacheKey { cache, key }| (Some(cache.as_str()), key));
    format!("{}\n{}", table(keys, look), public_keys.render(look))
}

/// Renders a table of keys. The column of the caches is left out if no key comes with one.
pub fn table<'a>(keys: impl Iterator<Item = (Option<&'a str>, &'a KeyInfo)>, look: &Look) -> String {
    let mut table = Table::new([
        Column::text("CACHE").unless_empty(),
        Column::long("SIGNING KEY"),
        Column::text("ORIGIN"),
        Column::text("ADDED"),
        Column::text("STATE"),
    ]);
    for (cache, key) in keys {
        let origin = match key.origin {
            KeyOrigin::Generated => "generated",
            KeyOrigin::File => "file",
            KeyOrigin::Client => "client",
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
    format!(
        "Added the key {name} to {cache}. Add it to the trusted-public-keys of the clients:\n  {public_key}\n"
    )
}

fn retired(cache: &str, retired: &RetiredKey) -> String {
    let (name, cache) = (plain(&retired.key.name), plain(cache));
    let notice = retired.notice.as_deref().map_or_else(String::new, |text| format!("{}\n", plain(text)));
    format!("Retired the key {name} of {cache}. Its signatures stay valid.\n{notice}")
}
