//! Tables.

use comfy_table::{
    Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, TableStyle, Width,
    presets,
};

use super::{Look, plain};

/// A rule below the header and nothing else.
const TERMINAL_STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// The same for terminals that have letters only.
const ASCII_STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('-'));

/// The number of spaces between two columns.
const GAP: u16 = 2;

/// The least width of a column of prose, however narrow the terminal.
const LEAST_WRAPPED_WIDTH: u16 = 10;

/// A column of a [`Table`].
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    is_number: bool,
    may_wrap: bool,
    may_vanish: bool,
}

impl Column {
    /// Text that is never wrapped, so that it can be copied.
    pub const fn text(title: &'static str) -> Self {
        Self { title, is_number: false, may_wrap: false, may_vanish: false }
    }

    /// A number, aligned to the right.
    pub const fn number(title: &'static str) -> Self {
        Self { title, is_number: true, may_wrap: false, may_vanish: false }
    }

    /// Text that is wrapped if the terminal is too narrow.
    pub const fn prose(title: &'static str) -> Self {
        Self { title, is_number: false, may_wrap: true, may_vanish: false }
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
    text: String,
    tone: Tone,
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
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new(), has_short_rows: false }
    }

    /// Returns the table with prose cut off where it does not fit, so that a row is one line on any terminal.
    pub fn with_short_rows(self) -> Self {
        Self { has_short_rows: true, ..self }
    }

    /// Adds a row.
    pub fn add(&mut self, row: [Cell; N]) {
        self.rows.push(row);
    }

    /// Renders the lines, each with a line feed.
    pub fn render(self, look: &Look) -> String {
        let mut table = comfy_table::Table::new();
        // `look` decides, not what comfy-table detects by itself.
        table.force_no_tty();
        if look.colour {
            table.enforce_styling();
        }
        match look.width {
            Some(width) => table
                .load_style(if look.draws_lines { TERMINAL_STYLE } else { ASCII_STYLE })
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width)
                .set_truncation_indicator(if look.draws_lines { "…" } else { "..." }),
            None => table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled),
        };
        let has_values = |index: usize| self.rows.iter().any(|row| !row[index].text.is_empty());
        let shown = std::array::from_fn(|index| !self.columns[index].may_vanish || has_values(index));
        let columns = select(self.columns, shown);
        let last = columns.len().saturating_sub(1);
        table.set_header(
            columns.iter().map(|column| comfy_table::Cell::new(column.title).add_attribute(Attribute::Bold)),
        );
        for row in self.rows {
            let mut row =
                comfy_table::Row::from(select(row, shown).into_iter().map(dress).collect::<Vec<_>>());
            if self.has_short_rows {
                row.max_height(1);
            }
            table.add_row(row);
        }
        for (index, (column, spec)) in table.column_iter_mut().zip(columns).enumerate() {
            column.set_padding((0, if index < last { GAP } else { 0 }));
            if spec.is_number {
                column.set_cell_alignment(CellAlignment::Right);
            }
            column.set_constraint(if spec.may_wrap {
                ColumnConstraint::LowerBoundary(Width::Fixed(LEAST_WRAPPED_WIDTH))
            } else {
                ColumnConstraint::ContentWidth
            });
        }
        table.lines().map(|line| tidy(&line, look.width) + "\n").collect()
    }
}

/// Removes what would make the terminal wrap a line needlessly: trailing spaces, which may be in bold type, and the excess of
/// a rule.
fn tidy(line: &str, width: Option<u16>) -> String {
    const RESET: &str = "\x1b[0m";
    let line = line.trim_end();
    if line.starts_with('─') || line.starts_with("----") {
        return line.chars().take(width.map_or(usize::MAX, usize::from)).collect();
    }
    match line.strip_suffix(RESET) {
        Some(styled) => styled.trim_end().to_owned() + RESET,
        None => line.to_owned(),
    }
}

/// Returns those of `items` that are shown.
fn select<T, const N: usize>(items: [T; N], shown: [bool; N]) -> Vec<T> {
    items.into_iter().zip(shown).filter_map(|(item, shown)| shown.then_some(item)).collect()
}

fn dress(cell: Cell) -> comfy_table::Cell {
    let dressed = comfy_table::Cell::new(if cell.text.is_empty() { "-".to_owned() } else { cell.text });
    match cell.tone {
        Tone::Plain => dressed,
        Tone::Good => dressed.fg(Color::Green),
        Tone::Odd => dressed.fg(Color::Yellow),
        Tone::Bad => dressed.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}
