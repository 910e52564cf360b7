//! The comparison of the catalog with the storages.

use admin_api::JobRequest;
use clap::Args;

use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::follow::follow_job;
use crate::output::Output;

/// `cachectl fsck`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Check only this cache [default: all caches]
    #[arg(long, value_name = "NAME", add = complete::caches())]
    pub cache: Option<String>,
    /// Check only this storage
    #[arg(long, value_name = "NAME", add = complete::storages())]
    pub storage: Option<String>,
    /// Add paths that only the storages know, as after the loss of the catalog
    #[arg(long)]
    pub rebuild: bool,
    /// Change nothing, only report
    #[arg(long)]
    pub dry_run: bool,
}

/// `cachectl fsck`
pub async fn run(arguments: Arguments, client: &Client, output: &Output) -> Result<(), Error> {
    let Arguments { cache, storage, rebuild, dry_run } = arguments;
    follow_job(&JobRequest::Fsck { cache, storage, rebuild, dry_run }, client, output).await
}
