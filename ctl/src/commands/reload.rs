use admin_api::Reloaded;

use crate::client::Client;
use crate::error::Error;
use crate::output::{Look, Output, plain, say};

/// `cachectl reload`
pub async fn run(client: &Client, output: &Output) -> Result<(), Error> {
    let reloaded = client.reload().await?;
    // Not among what was changed, and in JSON they are there anyway.
    if !output.json {
        reloaded.warnings.iter().for_each(|warning| say(&plain(warning)));
    }
    output.print(&reloaded, |look| render(&reloaded, look))
}

/// What has changed, and what has yet to.
pub fn render(reloaded: &Reloaded, look: &Look) -> String {
    let list = |sentences: &[String]| -> String {
        sentences.iter().map(|sentence| format!("  {}\n", plain(sentence))).collect()
    };
    let mut text = match reloaded.changes.as_slice() {
        [] => "Nothing was changed.\n".to_owned(),
        changes => format!("{}\n{}", look.bold("Changed:"), list(changes)),
    };
    if !reloaded.needs_restart.is_empty() {
        text.push_str(&format!(
            "{}\n{}",
            look.bold("To be changed by a restart:"),
            list(&reloaded.needs_restart)
        ));
    }
    text
}
