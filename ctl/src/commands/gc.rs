use admin_api::JobRequest;

use super::path;
use crate::args::{Gc, WhichPath};
use crate::client::Client;
use crate::error::Error;
use crate::follow::follow;
use crate::output::Output;

/// `cachectl gc`
pub async fn run(command: Gc, client: &Client, output: &Output) -> Result<(), Error> {
    let Gc { cache, dry_run, to_size, older_than, accept_clock, explain } = command;
    if let Some(path) = explain {
        return path::why(WhichPath { path, cache }, client, output).await;
    }
    let older_than = older_than.map(|age| age.as_secs());
    follow(&JobRequest::Gc { cache, dry_run, to_size, older_than, accept_clock }, client, output).await
}
