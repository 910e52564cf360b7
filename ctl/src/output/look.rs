use std::io::{self, IsTerminal as _};
use std::time::{SystemTime, UNIX_EPOCH};

/// The width to assume of a terminal that does not tell its own.
const USUAL_WIDTH: u16 = 80;

/// Narrower than this is not a size but a terminal that does not know its size.
const LEAST_WIDTH: u16 = 20;

/// How text is to look, and when it is read.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The columns of the terminal; `None` when standard output is not one. Then every row is one
    /// line, however long, without rules.
    pub width: Option<u16>,
    /// Whether to use colour and bold type.
    pub colour: bool,
    /// The present, in Unix seconds, for ages.
    pub now: i64,
}

impl Look {
    /// What suits standard output.
    ///
    /// `NO_COLOR` (see <https://no-color.org>) and a dumb terminal turn colour off.
    pub fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let width = || {
            let width = comfy_table::Table::new().width();
            width.filter(|&width| width >= LEAST_WIDTH).unwrap_or(USUAL_WIDTH)
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            width: is_terminal.then(width),
            colour: is_terminal && !is_dumb && !is_set("NO_COLOR"),
            // Before 1970 nothing has happened yet.
            now: now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX)),
        }
    }

    /// `text` in bold type, where there is such a thing.
    pub fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}
