//! Garbage collection.

use std::time::Duration;

use admin_api::JobRequest;
use clap::Args;

use super::path::{self, PathInCache};
use crate::cli::value::{self, StorePath};
use crate::client::Client;
use crate::error::Error;
use crate::follow::follow_job;
use crate::output::Output;

/// `cachectl gc`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Collect only in this cache [default: all caches]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
    /// Remove nothing, only report what would be removed and why
    #[arg(long)]
    pub dry_run: bool,
    /// Also remove least recently used paths down to this size, such as 5GiB
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub to_size: Option<u64>,
    /// Use this retention instead of that of the cache, such as 12h or 30d
    #[arg(long, value_name = "AGE", value_parser = value::age)]
    pub older_than: Option<Duration>,
    /// Trust the system clock although it contradicts the last known time
    #[arg(long)]
    pub accept_clock: bool,
    /// Remove the files at once instead of keeping them in the trash
    #[arg(long)]
    pub no_trash: bool,
    /// Collect nothing; show why a path is kept or not, as `path why` does
    #[arg(long, value_name = "PATH", conflicts_with_all = ["dry_run", "to_size", "older_than", "accept_clock", "no_trash"])]
    pub explain: Option<StorePath>,
}

/// `cachectl gc`
pub async fn run(arguments: Arguments, client: &Client, output: &Output) -> Result<(), Error> {
    let Arguments { cache, dry_run, to_size, older_than, accept_clock, no_trash, explain } = arguments;
    if let Some(path) = explain {
        return path::why(PathInCache { path, cache }, client, output).await;
    }
    let older_than = older_than.map(|age| age.as_secs());
    follow_job(
        &JobRequest::Gc { cache, dry_run, to_size, older_than, accept_clock, no_trash },
        client,
        output,
    )
    .await
}
