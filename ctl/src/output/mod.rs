//! What goes to standard output: text for people, JSON for scripts.
//!
//! It knows nothing of the daemon. A noun decides what to show; this module decides how it looks.

mod fields;
mod layout;
mod look;
mod table;
mod units;
mod wrapping;

use std::io::{self, Write as _};

use serde::Serialize;

use crate::error::Error;
pub use fields::Fields;
pub use look::Look;
pub use table::{Cell, Column, Table, Tone};
pub use units::{age, count, counted, date, percent, relative, share, size, size_exact};
pub use wrapping::note;
use wrapping::wrap;

/// Standard output, in the format that the user chose.
#[derive(Debug)]
pub struct Output {
    /// Whether to print the daemon's replies as JSON.
    pub json: bool,
    /// How text looks if not.
    pub look: Look,
}

impl Output {
    /// Prints `value` as JSON, or else the text that `render` returns.
    pub fn print<T: Serialize>(&self, value: &T, render: impl FnOnce(&Look) -> String) -> Result<(), Error> {
        let text = if self.json { to_json(value) } else { render(&self.look) };
        match write_stdout(&text) {
            // The reader has enough, like `head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(Error::Output),
        }
    }
}

/// Returns `value` as indented JSON with a line feed at the end.
pub fn to_json<T: Serialize>(value: &T) -> String {
    let mut json = serde_json::to_string_pretty(value).expect("replies are plain data");
    json.push('\n');
    json
}

/// Writes all of `text` to standard output.
pub fn write_stdout(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a line to standard error, for a person. It is not a failure if nobody can read it.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Returns `HASH-NAME` of `/nix/store/HASH-NAME`.
pub fn base_name(store_path: &str) -> &str {
    store_path.strip_prefix("/nix/store/").unwrap_or(store_path)
}

/// Returns `text` with control characters escaped, so that it can neither move the cursor nor forge lines. Text from
/// elsewhere must pass through this.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests;
