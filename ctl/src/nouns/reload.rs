//! The reload of the config.

use admin_api::{ApiError, ErrorCode, Reload, Reloaded};

use crate::client::Client;
use crate::error::Error;
use crate::output::{Look, Output, plain, say};

/// `cachectl reload`
pub async fn run(client: &Client, output: &Output) -> Result<(), Error> {
    let reloaded = client.call(&Reload {}).await.map_err(list_faults)?;
    // JSON has them anyway.
    if !output.json {
        reloaded.warnings.iter().for_each(|warning| say(&plain(warning)));
    }
    output.print(&reloaded, |look| render(&reloaded, look))
}

/// Gives each fault of a refused config a line of its own.
fn list_faults(error: Error) -> Error {
    match error {
        Error::Daemon(ApiError { code: ErrorCode::Invalid, message, hint }) => {
            Error::FaultyConfig { faults: message.lines().map(str::to_owned).collect(), hint }
        }
        other => other,
    }
}

/// Renders what changed, and what a restart would change.
pub fn render(reloaded: &Reloaded, look: &Look) -> String {
    let list = |sentences: &[String]| -> String {
        sentences.iter().map(|sentence| format!("  {}\n", plain(sentence))).collect()
    };
    let mut text = match reloaded.changes.as_slice() {
        [] => "Nothing changed.\n".to_owned(),
        changes => format!("{}\n{}", look.bold("Changed:"), list(changes)),
    };
    if !reloaded.needs_restart.is_empty() {
        text.push_str(&format!("{}\n{}", look.bold("Needs a restart:"), list(&reloaded.needs_restart)));
    }
    text
}
