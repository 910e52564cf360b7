//! Tables.

use super::layout::Rows;
use super::{Look, plain};

/// A column of a [`Table`].
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    may_vanish: bool,
}

/// What a terminal that is too narrow does to a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Text,
    /// Nothing. Aligned to the right.
    Number,
    /// Wraps it between words.
    Prose,
    /// Gives its values lines of their own.
    Long,
}

impl Column {
    /// Text that is never wrapped, so that it can be copied.
    pub const fn text(title: &'static str) -> Self {
        Self { title, kind: Kind::Text, may_vanish: false }
    }

    /// A number, aligned to the right.
    pub const fn number(title: &'static str) -> Self {
        Self { title, kind: Kind::Number, may_vanish: false }
    }

    /// Text that is wrapped if the terminal is too narrow.
    pub const fn prose(title: &'static str) -> Self {
        Self { title, kind: Kind::Prose, may_vanish: false }
    }

    /// Text that is never wrapped, and that may be longer than all else, such as a URL or a store path. If the terminal is too
    /// narrow, it stands on a line of its own: below the row if this is the last column, else above all that describes it. A
    /// table has at most one such column.
    pub const fn long(title: &'static str) -> Self {
        Self { title, kind: Kind::Long, may_vanish: false }
    }

    /// Returns the column, but left out if no row has a value in it.
    pub const fn unless_empty(self) -> Self {
        Self { may_vanish: true, ..self }
    }
}

/// How urgent the content of a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Neutral.
    Plain,
    /// All is well.
    Good,
    /// Worth a look at some point.
    Odd,
    /// Worth a look now.
    Bad,
}

/// A value in a [`Table`].
#[derive(Clone, Debug)]
pub struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Cell {
    /// A value with a tone. An empty value is shown as `-`.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: plain(text.as_ref()), tone }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text, Tone::Plain)
    }
}

impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        Self::new(text.unwrap_or_default(), Tone::Plain)
    }
}

/// Rows of values below the titles of their columns.
#[derive(Debug)]
pub struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[Cell; N]>,
    has_short_rows: bool,
    if_empty: Option<&'static str>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new(), has_short_rows: false, if_empty: None }
    }

    /// Returns the table with prose cut off where it does not fit, so that a row is one line on any terminal.
    pub fn with_short_rows(self) -> Self {
        Self { has_short_rows: true, ..self }
    }

    /// Returns the table with a sentence that a terminal shows instead of titles without rows.
    pub fn or(self, if_empty: &'static str) -> Self {
        Self { if_empty: Some(if_empty), ..self }
    }

    /// Adds a row.
    pub fn add(&mut self, row: [Cell; N]) {
        self.rows.push(row);
    }

    /// Renders the lines, each with a line feed.
    pub fn render(self, look: &Look) -> String {
        if let Some(sentence) = self.if_empty.filter(|_| self.rows.is_empty() && look.width.is_some()) {
            return format!("{sentence}\n");
        }
        let has_values = |index: usize| self.rows.iter().any(|row| !row[index].text.is_empty());
        let shown = std::array::from_fn(|index| !self.columns[index].may_vanish || has_values(index));
        let rows = Rows {
            columns: select(self.columns, shown),
            cells: self.rows.into_iter().map(|row| select(row, shown)).collect(),
            are_short: self.has_short_rows,
        };
        rows.render(look)
    }
}

/// Returns those of `items` that are shown.
fn select<T, const N: usize>(items: [T; N], shown: [bool; N]) -> Vec<T> {
    items.into_iter().zip(shown).filter_map(|(item, shown)| shown.then_some(item)).collect()
}
