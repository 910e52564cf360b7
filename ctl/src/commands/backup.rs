use admin_api::JobRequest;

use crate::client::Client;
use crate::error::Error;
use crate::follow::follow;
use crate::output::Output;

/// `cachectl backup`
pub async fn run(file: String, client: &Client, output: &Output) -> Result<(), Error> {
    follow(&JobRequest::Backup { file }, client, output).await
}
