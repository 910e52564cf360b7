//! The values of arguments that have a grammar.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub use admin_api::units::parse_size as size;
use thiserror::Error;
use url::Url;

/// The number of characters of a store hash: 160 bits in nix32.
const STORE_HASH_LENGTH: usize = 32;

/// The digits of nix32, the base-32 encoding of store paths.
const NIX32: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Where all store paths are.
const STORE: &str = "/nix/store/";

/// The most links that are followed, as in the kernel.
const MOST_LINKS: usize = 40;

/// A store path, named by its base name `HASH-NAME` or by its hash alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePath(String);

impl StorePath {
    /// The hash, 32 characters of nix32.
    pub fn hash(&self) -> &str {
        &self.0[..STORE_HASH_LENGTH]
    }

    /// The part of `HASH-NAME` that was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text does not name a store path.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum StorePathError {
    /// It is a path, but not one in the store.
    #[error("this is neither below /nix/store nor a link that leads there")]
    NotInStore,
    /// It is the name of a file that does not exist.
    #[error("there is no such file; without a build, name the store path itself")]
    NoFile,
    /// Its hash part does not have the right length.
    #[error("expected /nix/store/HASH-NAME, HASH-NAME or HASH, with a HASH of 32 characters")]
    Length,
    /// The hash part has a character that hashes never have.
    #[error("'{0}' cannot be part of a store hash, which has digits and letters other than e, o, t and u")]
    Digit(char),
}

impl FromStr for StorePath {
    type Err = StorePathError;

    /// Accepts `/nix/store/HASH-NAME` and anything below it, a link that leads there such as `./result`, `HASH-NAME`, and
    /// `HASH`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = follow_links(text);
        let in_store = match named.strip_prefix(STORE) {
            Some(rest) => rest.split('/').next().unwrap_or_default(),
            None if text.contains('/') => {
                let is_there = Path::new(text).symlink_metadata().is_ok();
                return Err(if is_there { StorePathError::NotInStore } else { StorePathError::NoFile });
            }
            None => text,
        };
        let hash = in_store.split('-').next().unwrap_or_default();
        if hash.chars().count() != STORE_HASH_LENGTH {
            return Err(StorePathError::Length);
        }
        let is_digit = |c: char| u8::try_from(c).is_ok_and(|byte| NIX32.contains(&byte));
        match hash.chars().find(|&c| !is_digit(c)) {
            Some(c) => Err(StorePathError::Digit(c)),
            // All its characters are digits of nix32, so it has as many bytes as characters.
            None => Ok(Self(in_store.to_owned())),
        }
    }
}

/// Follows links, as Nix does for `./result`, until the path is in the store. Returns `text` if they do not lead there.
fn follow_links(text: &str) -> String {
    if text.starts_with(STORE) {
        return text.to_owned();
    }
    let mut path = PathBuf::from(text);
    for _ in 0..MOST_LINKS {
        let Ok(target) = path.read_link() else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
        if path.starts_with(STORE) {
            return path.to_string_lossy().into_owned();
        }
    }
    // A file behind a link, such as ./result/bin/hello.
    match Path::new(text).canonicalize() {
        Ok(path) if path.starts_with(STORE) => path.to_string_lossy().into_owned(),
        _ => text.to_owned(),
    }
}

/// Parses a duration of at least a second, such as `90d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.as_secs() == 0 => Err("it must be at least one second".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("expected a time such as 30s, 12h, 90d or 1y".to_owned()),
    }
}

/// Parses an age, such as `90d`; `0s` is valid.
pub fn age(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "expected an age such as 12h, 90d or 1y".to_owned())
}

/// Makes the name of a file absolute, for a process with another working directory.
pub fn absolute(text: &str) -> Result<String, String> {
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    path.into_os_string()
        .into_string()
        .map_err(|_| "the name of the current directory is not UTF-8".to_owned())
}

/// Reads a speed in bytes per second that is not zero, such as `50MB` or `50MB/s`.
pub fn rate(text: &str) -> Result<u64, String> {
    match size(text.trim_end().strip_suffix("/s").unwrap_or(text)) {
        Err(error) => Err(error.to_string()),
        Ok(0) => Err("must be at least one byte per second".to_owned()),
        Ok(rate) => Ok(rate),
    }
}

/// Reads a number that is not zero.
pub fn positive(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a whole number, at least 1".to_owned()),
    }
}

/// Reads the place that paths come from: a URL, a store that Nix knows, or the name of a directory, which becomes its URL.
pub fn source(text: &str) -> Result<String, String> {
    const STORES: [&str; 3] = ["daemon", "auto", "local"];
    if is_directory(text) {
        return directory_url(text);
    }
    let store = text.split('?').next().unwrap_or_default();
    if text.contains(':') || STORES.contains(&store) {
        return Ok(text.to_owned());
    }
    if Path::new(text).is_dir() {
        return directory_url(text);
    }
    Err("there is no such directory; expected a directory, s3://BUCKET/PREFIX, an http(s) URL, or `daemon`"
        .to_owned())
}

/// Reads the place that paths are written to: `s3://BUCKET/PREFIX`, or the name of a directory, which becomes its URL.
pub fn target(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some(("s3" | "file", _)) => Ok(text.to_owned()),
        Some(_) => {
            Err("expected a directory or s3://BUCKET/PREFIX; use `cachectl push` for a server".to_owned())
        }
        None => directory_url(text),
    }
}

/// Whether a text can only be the name of a directory.
fn is_directory(text: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| text.starts_with(start)) || text == "." || text == ".."
}

fn directory_url(text: &str) -> Result<String, String> {
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    let url = Url::from_file_path(path).map_err(|()| "it cannot be written as a URL".to_owned())?;
    Ok(url.to_string())
}

/// Parses the URL of a server.
pub fn http_url(text: &str) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|error| format!("{error} (write it like https://cache.example.org)"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("write it like https://cache.example.org".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("pass the token with --token-file, not in the URL".to_owned());
    }
    Ok(url)
}
