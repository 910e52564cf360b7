//! Backups.

use admin_api::JobRequest;
use clap::Args;

use crate::cli::value;
use crate::client::Client;
use crate::error::Error;
use crate::follow::follow_job;
use crate::output::Output;

/// `cachectl backup`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to write; must not exist
    #[arg(value_name = "FILE", value_parser = value::absolute)]
    pub file: String,
}

/// `cachectl backup`
pub async fn run(Arguments { file }: Arguments, client: &Client, output: &Output) -> Result<(), Error> {
    follow_job(&JobRequest::Backup { file }, client, output).await
}
