//! Garbage collection.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use admin_api::{JobRequest, JobSummary};
use clap::Args;

use super::path::{self, PathInCache};
use crate::cli::value::{self, StorePath};
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::follow::{finish_job, follow_job, gc_table as table};
use crate::output::{Output, counted};

/// `cachectl gc`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Collect only in this cache [default: all caches]
    #[arg(long, value_name = "NAME", add = complete::caches())]
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
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
    /// Collect nothing; show why a path is kept or not, as `path why` does
    #[arg(long, value_name = "PATH", conflicts_with_all = ["dry_run", "to_size", "older_than", "accept_clock", "no_trash", "yes"])]
    pub explain: Option<StorePath>,
}

/// `cachectl gc`
pub async fn run(arguments: Arguments, client: &Client, output: &Output) -> Result<(), Error> {
    let Arguments { cache, dry_run, to_size, older_than, accept_clock, no_trash, yes, explain } = arguments;
    if let Some(path) = explain {
        return path::why(PathInCache { path, cache }, client, output).await;
    }
    let older_than = older_than.map(|age| age.as_secs());
    let request = |dry_run, brief| {
        let cache = cache.clone();
        JobRequest::Gc { cache, dry_run, to_size, older_than, accept_clock, no_trash, brief, for_room: false }
    };
    // A script is not asked: it has no terminal, or reads the output as JSON.
    if !dry_run && !yes && !output.json && io::stdin().is_terminal() && io::stderr().is_terminal() {
        confirm(&request(true, true), client, output).await?;
    }
    follow_job(&request(dry_run, false), client, output).await
}

/// Shows what a collection would remove, and asks the user whether to remove it.
async fn confirm(dry_run: &JobRequest, client: &Client, output: &Output) -> Result<(), Error> {
    let JobSummary::Gc(plan) = finish_job(dry_run, client, output).await? else { return Ok(()) };
    let paths: u64 = plan.caches.iter().map(|cache| cache.paths_to_remove).sum();
    if paths == 0 {
        return Ok(());
    }
    // If the question cannot be printed, there will be no answer either.
    let _ = write!(io::stderr(), "{}Remove {}? [y/N] ", table(&plan, &output.look), counted(paths, "path"));
    let mut typed = String::new();
    match io::stdin().read_line(&mut typed) {
        Ok(_) if matches!(typed.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Error::NotCollected),
    }
}
