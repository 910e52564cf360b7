//! What is wrong with the text of a value, and texts for such messages.

use super::fault::{Fault, Place};

/// Why a text is not the value that a key takes.
#[derive(Debug)]
pub struct Wrong {
    /// What is wrong with it.
    pub message: String,
    /// What would be right.
    pub expected: String,
    /// What to do about it.
    pub suggestion: Option<String>,
}

impl Wrong {
    /// `text` is not what is expected.
    pub fn new(text: &str, expected: impl Into<String>) -> Self {
        Self::because(format!("{} is not valid", shown(text)), expected)
    }

    /// A reason of its own.
    pub fn because(message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { message: message.into(), expected: expected.into(), suggestion: None }
    }

    /// Adds what to do about it.
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// The fault of a value at this place.
    pub(super) fn at(self, place: &Place) -> Fault {
        let fault = Fault::error(place, self.message).expected(self.expected);
        match self.suggestion {
            Some(suggestion) => fault.suggest(suggestion),
            None => fault,
        }
    }
}

/// Words as a list for people: "`a`, `b` or `c`".
pub fn quoted(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// A text from the file, short enough for a message and on one line.
pub fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let line = text.replace(char::is_control, " ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("`{}…`", &line[..end]),
        None => format!("`{line}`"),
    }
}
