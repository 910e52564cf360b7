//! Files of the repository that follow from the key tables: the commented example, the reference page, the NixOS options.
//!
//! `cache-server generate-reference DIRECTORY` writes them into a checkout, and a test compares them with the committed
//! ones. This folder knows the tables and nothing of how files are read.

mod example;
mod man;
mod markdown;
mod nix;
mod text;

pub use man::write as man_page;

use std::io;
use std::path::Path;

/// The command that writes the files, for messages.
const COMMAND: &str = "cargo run --release -- generate-reference .";

/// The generated files by their path in the repository.
pub fn files() -> [(&'static str, String); 3] {
    [
        ("config.example.yaml", example::write()),
        ("docs/src/reference/configuration.md", markdown::write()),
        ("nixos-module/keys/keys.json", nix::write()),
    ]
}

/// Writes the generated files, and `others` that follow from something else, into the checkout of the repository at `root`.
///
/// # Errors
///
/// If a file cannot be written.
pub fn generate(root: &Path, others: &[(&str, String)]) -> io::Result<()> {
    files().iter().chain(others).try_for_each(|(path, content)| {
        let path = root.join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, content)
    })
}

/// Compares the same files with those in the checkout at `root`. Returns a message for each file that differs.
pub fn check(root: &Path, others: &[(&str, String)]) -> Vec<String> {
    let differs = |(path, content): &(&str, String)| {
        let committed = std::fs::read_to_string(root.join(path));
        committed.map_or(true, |committed| committed != *content)
    };
    let message = |(path, _): &(&str, String)| format!("{path} does not match the source: run `{COMMAND}`");
    files().iter().chain(others).filter(|file| differs(file)).map(message).collect()
}
