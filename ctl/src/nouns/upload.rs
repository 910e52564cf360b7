//! Unfinished uploads.

use admin_api::{AbortUpload, ListUploads, UploadInfo};
use clap::Subcommand;

use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::output::{Cell, Column, Look, Output, Table, Tone, plain, relative, size};

/// `cachectl upload …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the uploads that are not finished, the idlest first
    ///
    /// An upload without a byte ends by itself after ten minutes, another one after `server.upload-expiry`.
    #[command(after_help = "Examples:\n  \
        cachectl upload list\n  \
        cachectl upload list --json | jq 'group_by(.token) | map({(.[0].token): length})'")]
    List,
    /// End an upload, and remove what has arrived of it
    #[command(after_help = "Example:\n  \
        cachectl upload abort 0b9f5a9e-6f0e-4a53-9a2c-3c1d5e7f9b11")]
    Abort {
        /// The id that `upload list` shows
        #[arg(add = complete::uploads())]
        id: String,
    },
}

/// `cachectl upload …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List => {
            let uploads = client.call(&ListUploads {}).await?;
            output.print(&uploads, |look| table(&uploads, look))
        }
        Command::Abort { id } => {
            let upload = client.call(&AbortUpload { upload: id }).await?;
            output.print(&upload, |_| aborted(&upload))
        }
    }
}

/// Renders the uploads.
pub fn table(uploads: &[UploadInfo], look: &Look) -> String {
    if uploads.is_empty() {
        return "No upload is under way.\n".to_owned();
    }
    let mut table = Table::new([
        Column::long("ID"),
        Column::text("CACHE"),
        Column::number("SIZE"),
        Column::text("ACTIVE"),
        Column::prose("TOKEN"),
    ]);
    for upload in uploads {
        table.add([
            upload.id.as_str().into(),
            upload.cache.as_str().into(),
            size(upload.bytes).into(),
            relative(look.now, upload.last_active).into(),
            token(upload),
        ]);
    }
    table.render(look)
}

/// The subject of the token, else its id.
fn token(upload: &UploadInfo) -> Cell {
    match upload.subject.as_ref().or(upload.token.as_ref()) {
        Some(token) => token.as_str().into(),
        None => Cell::new("unknown", Tone::Odd),
    }
}

fn aborted(upload: &UploadInfo) -> String {
    format!("Ended upload {} to {}.\n", plain(&upload.id), plain(&upload.cache))
}
