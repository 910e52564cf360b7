//! Pushing store paths of this machine.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use nix_formats::StorePath;
use url::Url;

use crate::cli::value;
use crate::complete;
use crate::error::Error;
use crate::follow::View;
use crate::output::{Output, count, counted, plain, size, write_stdout};
use crate::push::{
    Packing, PushError, Pusher, Server, Store, Summary, Uploader, credentials, store_path_of, watch,
};

/// The level of zstd: a higher one makes files little smaller and takes much longer.
const ZSTD_LEVEL: i32 = 3;
/// That of xz, which is slow in any case.
const XZ_LEVEL: u32 = 6;
/// Most errors that are repeated in the summary.
const MOST_FAILURES: usize = 10;

/// `cachectl push`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The paths to push, with everything that they refer to: store paths, or links into the store such as ./result
    ///
    /// Without any, they are read from standard input, one a line.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// The URL of the server
    #[arg(
        long,
        value_name = "URL",
        env = "CACHE_SERVER_URL",
        default_value = "http://127.0.0.1:5000",
        value_parser = value::http_url
    )]
    pub server: Url,
    /// The cache to push to
    #[arg(long, value_name = "NAME", env = "CACHE_SERVER_CACHE", default_value = "main", add = complete::caches())]
    pub cache: String,
    /// A file with the token; - is standard input
    ///
    /// Without this option, the token is taken from the environment variable CACHE_SERVER_TOKEN or CACHIX_AUTH_TOKEN, or from
    /// a netrc file, where `cachix use` writes it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
    /// The netrc file with the token
    ///
    /// By default, the first entry for the host of the server or of the cache in $NETRC, ~/.config/nix/netrc, ~/.netrc or
    /// /etc/nix/netrc.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub netrc_file: Option<PathBuf>,
    /// A file with the key that signs the paths, for a cache with `signing: client`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub signing_key_file: Option<PathBuf>,
    /// How to compress [default: what the cache prefers]
    #[arg(long, value_name = "METHOD")]
    pub compression: Option<Method>,
    /// The level of compression [default: 3 for zstd, 6 for xz]
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(1..=19))]
    pub level: Option<u8>,
    /// How many paths to upload at once
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// Do not tell which derivation built a path
    #[arg(long)]
    pub omit_deriver: bool,
    /// Push every path that is added to the store, until this command is stopped
    #[arg(long, conflicts_with_all = ["paths", "dry_run"])]
    pub watch_store: bool,
    /// Upload nothing, only report what would be
    #[arg(long)]
    pub dry_run: bool,
}

/// A method of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Fast, and the default of caches
    Zstd,
    /// Smaller files, many times slower
    Xz,
}

/// `cachectl push`
pub async fn run(arguments: Arguments, patience: Duration, output: &Output) -> Result<(), Error> {
    let reads_token = arguments.token_file.as_deref() == Some(Path::new("-"));
    let roots = if arguments.watch_store { Vec::new() } else { roots(&arguments.paths, reads_token)? };
    let pusher = pusher(&arguments, patience).await?;
    let mut view = View::of_stderr(output);
    view.begin("push");
    if arguments.watch_store {
        let watched = watch(&pusher, &mut view, |summary| report(summary, output)).await;
        view.close();
        return watched;
    }
    let pushed = pusher.push(&roots, arguments.dry_run, &mut view).await;
    view.close();
    let summary = pushed?;
    output.print(&summary, |_| describe(&summary))?;
    match summary.failed.len() as u64 {
        0 => Ok(()),
        failed => Err(PushError::Incomplete { failed }.into()),
    }
}

/// Makes what pushes, and finds out whether it may.
async fn pusher(arguments: &Arguments, patience: Duration) -> Result<Pusher, PushError> {
    let Arguments { server, cache, .. } = arguments;
    let (token_file, netrc_file) = (arguments.token_file.as_deref(), arguments.netrc_file.as_deref());
    let token = credentials::find_token(token_file, netrc_file, server, cache)?;
    let key = arguments.signing_key_file.as_deref().map(credentials::read_signing_key).transpose()?;
    let server = Server::new(server.clone(), cache.clone(), token.as_deref(), patience)?;
    let info = server.info().await?;
    if let Some(key) = key.as_ref().filter(|key| !info.knows(key)) {
        return Err(PushError::UnknownKey { cache: cache.clone(), key: key.name().to_owned() });
    }
    let is_xz = arguments.compression.map_or(info.prefers_xz(), |method| method == Method::Xz);
    let packing = match (is_xz, arguments.level) {
        (true, level) => Packing::Xz(level.map_or(XZ_LEVEL, u32::from).min(9)),
        (false, level) => Packing::Zstd(level.map_or(ZSTD_LEVEL, i32::from)),
    };
    let uploader = Arc::new(Uploader::new(server, packing, key, arguments.omit_deriver));
    Ok(Pusher { uploader, store: Store, jobs: arguments.jobs.into() })
}

/// The store paths that the arguments name, or those on standard input.
fn roots(named: &[PathBuf], reads_token: bool) -> Result<Vec<StorePath>, PushError> {
    if !named.is_empty() {
        return named.iter().map(|name| store_path_of(name)).collect();
    }
    let stdin = io::stdin();
    if reads_token || stdin.is_terminal() {
        return Err(PushError::NoPaths);
    }
    let mut roots = Vec::new();
    for line in stdin.lock().lines() {
        let line =
            line.map_err(|source| PushError::Unreadable { path: PathBuf::from("standard input"), source })?;
        if !line.trim().is_empty() {
            roots.push(store_path_of(Path::new(line.trim()))?);
        }
    }
    if roots.is_empty() { Err(PushError::NoPaths) } else { Ok(roots) }
}

/// Prints a push of many: as JSON each is a line.
fn report(summary: &Summary, output: &Output) -> Result<(), Error> {
    if summary.pushed.is_empty() && summary.failed.is_empty() {
        return Ok(());
    }
    let text = if output.json {
        serde_json::to_string(summary).expect("a summary is plain data") + "\n"
    } else {
        describe(summary)
    };
    write_stdout(&text).map_err(Error::Output)
}

/// Renders what a push came to.
pub fn describe(summary: &Summary) -> String {
    let cache = plain(&summary.cache);
    let pushed = counted(summary.pushed.len() as u64, "path");
    let present = match summary.present {
        0 => String::new(),
        present => format!("; {} there already", are(present)),
    };
    if summary.pushed.is_empty() && summary.failed.is_empty() {
        return format!("Nothing to push: {cache} has {}.\n", all(summary.paths));
    }
    if summary.dry_run {
        let listed: String = summary.pushed.iter().map(|path| format!("{}\n", plain(path))).collect();
        return format!("{listed}Would push {pushed} ({}) to {cache}{present}.\n", size(summary.nar_bytes));
    }
    let speed = summary.nar_bytes as f64 / summary.seconds.max(0.001);
    let mut text = format!(
        "Pushed {pushed} to {cache} in {:.1} s: {} sent, {} unpacked, {}/s{present}.\n",
        summary.seconds,
        size(summary.file_bytes),
        size(summary.nar_bytes),
        size(speed as u64),
    );
    for failure in summary.failed.iter().take(MOST_FAILURES) {
        text.push_str(&format!("not pushed: {}: {}\n", plain(&failure.path), plain(&failure.error)));
    }
    if summary.failed.len() > MOST_FAILURES {
        text.push_str(&format!("and {} more\n", count((summary.failed.len() - MOST_FAILURES) as u64)));
    }
    text
}

fn are(paths: u64) -> String {
    if paths == 1 { "1 path was".to_owned() } else { format!("{} paths were", count(paths)) }
}

fn all(paths: u64) -> String {
    if paths == 1 { "the path already".to_owned() } else { format!("all {} paths already", count(paths)) }
}
