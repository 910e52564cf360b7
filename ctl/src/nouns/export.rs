//! Writing paths of a cache to a directory or a bucket.

use admin_api::{ExportRequest, JobRequest};
use clap::{Args, ValueHint};

use crate::cli::value;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::follow::follow_job;
use crate::output::Output;

/// `cachectl export`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where to: a directory, as the daemon sees it, or s3://BUCKET/PREFIX
    #[arg(value_parser = value::target, value_hint = ValueHint::DirPath)]
    pub target: String,
    /// The cache
    #[arg(long, value_name = "NAME", add = complete::caches())]
    pub cache: String,
    /// Export only these paths and what they refer to [default: all of the cache]
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<value::StorePath>,
    /// Export only the newest path of this pin and what it refers to
    #[arg(long, value_name = "NAME", conflicts_with = "paths", add = complete::pins())]
    pub pin: Option<String>,
    /// How many paths to write at once [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub jobs: Option<u32>,
    /// The most to write per second, such as 50MB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = value::rate)]
    pub rate: Option<u64>,
    /// Write nothing, only report what would be exported
    #[arg(long)]
    pub dry_run: bool,
}

/// `cachectl export`
pub async fn run(arguments: Arguments, client: &Client, output: &Output) -> Result<(), Error> {
    let Arguments { target, cache, paths, pin, jobs, rate, dry_run } = arguments;
    let paths = paths.iter().map(|path| path.hash().to_owned()).collect();
    let request = ExportRequest { cache, target, paths, pin, jobs, rate, dry_run };
    follow_job(&JobRequest::Export(request), client, output).await
}
