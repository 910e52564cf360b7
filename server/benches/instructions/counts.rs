//! The file with the numbers.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::Result;

/// What the file holds.
#[derive(Default)]
pub struct Counts {
    compiler: String,
    counts: Vec<(String, u64)>,
}

/// The compiler and the profile that this program, and so the daemon, was compiled with.
pub fn compiler() -> Result<String> {
    let output =
        Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-V").output()?;
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    Ok(format!("{}, {profile}", String::from_utf8(output.stdout)?.trim()))
}

impl Counts {
    /// Where it is, from the root of the repository.
    pub const FILE: &str = "server/benches/instructions/counts.txt";

    fn path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/counts.txt")
    }

    /// Reads it: the compiler, then a line for each request. A missing file holds nothing.
    pub fn read() -> Result<Self> {
        let Ok(text) = fs::read_to_string(Self::path()) else { return Ok(Self::default()) };
        let (compiler, lines) = text.split_once('\n').unwrap_or((&text, ""));
        let line = |line: &str| -> Result<(String, u64)> {
            let (what, count) = line.rsplit_once(' ').ok_or_else(|| format!("{}: {line}", Self::FILE))?;
            Ok((what.to_owned(), count.parse()?))
        };
        Ok(Self { compiler: compiler.to_owned(), counts: lines.lines().map(line).collect::<Result<_>>()? })
    }

    /// The instructions of a request.
    pub fn find(&self, what: &str) -> Option<u64> {
        self.counts.iter().find(|(known, _)| known == what).map(|(_, count)| *count)
    }

    /// Whether they were counted with this compiler.
    pub fn is_of(&self, compiler: &str) -> bool {
        self.compiler == compiler
    }

    /// Writes the file anew.
    pub fn write(&self, compiler: &str, counts: &[(&str, u64)]) -> Result<()> {
        let mut text = format!("{compiler}\n");
        for (what, count) in counts {
            let _ = writeln!(text, "{what} {count}");
        }
        Ok(fs::write(Self::path(), text)?)
    }
}
