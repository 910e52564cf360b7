use admin_api::JobRequest;

use crate::args::Fsck;
use crate::client::Client;
use crate::error::Error;
use crate::follow::follow;
use crate::output::Output;

/// `cachectl fsck`
pub async fn run(command: Fsck, client: &Client, output: &Output) -> Result<(), Error> {
    let Fsck { cache, rebuild, dry_run } = command;
    follow(&JobRequest::Fsck { cache, rebuild, dry_run }, client, output).await
}
