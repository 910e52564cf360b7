//! The log of a deployment.

use std::io;

use admin_api::{DeploymentInfo, DeploymentStatus, LogEvent, ReadLog};

use crate::client::Client;
use crate::error::Error;
use crate::nouns::deploy::{name, word};
use crate::output::{Output, plain, say, write_stdout};

/// Prints the log of a deployment line by line. If it follows the deployment to its end, that end decides the result.
pub async fn print_log(request: &ReadLog, client: &Client, output: &Output) -> Result<(), Error> {
    let mut events = client.stream(request).await?;
    let mut lines = 0;
    loop {
        let event = events.next().await?;
        let text = match (output.json, &event.event) {
            (true, _) => format!("{}\n", event.line),
            (false, LogEvent::Line { line, .. }) => format!("{}\n", plain(line)),
            (false, LogEvent::Waiting | LogEvent::End { .. }) => String::new(),
        };
        lines += u64::from(matches!(event.event, LogEvent::Line { .. }));
        match write_stdout(&text) {
            // The reader has enough, like `head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(Error::Output)?,
        }
        if let LogEvent::End { deployment } = event.event {
            if !output.json {
                say_end(&deployment, lines);
            }
            return if request.follow == Some(true) { judge(&deployment) } else { Ok(()) };
        }
    }
}

fn say_end(deployment: &DeploymentInfo, lines: u64) {
    if lines == 0 {
        let why = if deployment.log_truncated { "is too old to be kept" } else { "is empty" };
        say(&format!("The log of {} {why}.", name(deployment)));
    }
    say(&format!("{}: {}", name(deployment), word(deployment.status)));
}

/// Whether a deployment ended well.
fn judge(deployment: &DeploymentInfo) -> Result<(), Error> {
    match deployment.status {
        DeploymentStatus::Failed | DeploymentStatus::Cancelled => {
            Err(Error::DeploymentFailed { deployment: name(deployment), status: word(deployment.status) })
        }
        DeploymentStatus::Pending | DeploymentStatus::InProgress | DeploymentStatus::Succeeded => Ok(()),
    }
}
