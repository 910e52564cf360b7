use std::io::{self, IsTerminal as _};
use std::time::{SystemTime, UNIX_EPOCH};

/// The width that is assumed for a terminal that does not report its own.
const USUAL_WIDTH: u16 = 80;

/// A terminal that reports less than this does not know its width.
const LEAST_WIDTH: u16 = 20;

/// How text looks, and the time to which ages relate.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The columns of the terminal; `None` if standard output is not a terminal. Every row is then one line of any length,
    /// and there are no rules.
    pub width: Option<u16>,
    /// Whether to use colour and bold type.
    pub colour: bool,
    /// Whether rules are lines of the box-drawing characters, which a dumb terminal and an old locale cannot show.
    pub draws_lines: bool,
    /// The current time in Unix seconds, for ages.
    pub now: i64,
}

impl Look {
    /// Returns the look that suits standard output.
    ///
    /// `NO_COLOR` (see <https://no-color.org>) and a dumb terminal turn colour off, `CLICOLOR_FORCE` (see
    /// <https://bixense.com/clicolors>) turns it on away from a terminal.
    pub fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_forced =
            std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
        let width = || {
            let width = comfy_table::Table::new().width();
            width.filter(|&width| width >= LEAST_WIDTH).unwrap_or(USUAL_WIDTH)
        };
        // As the C library chooses among these variables.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .filter_map(std::env::var_os)
            .find(|value| !value.is_empty());
        let is_utf8 = locale.is_some_and(|name| {
            let name = name.to_string_lossy().to_ascii_lowercase();
            name.ends_with("utf-8") || name.ends_with("utf8")
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            width: is_terminal.then(width),
            colour: !is_set("NO_COLOR") && (is_forced || is_terminal && !is_dumb),
            draws_lines: !is_dumb && is_utf8,
            // A clock before 1970 is wrong anyway.
            now: now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX)),
        }
    }

    /// Returns `text` in bold type if the terminal has styles.
    pub fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}
