//! How the rows of a table become lines.
//!
//! Values that may be copied are never broken. A table that is too wide for the terminal gives its long values lines of their
//! own; if that is not enough, each row becomes a block with a line for each value.

use comfy_table::{
    Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, TableStyle, Width,
    presets,
};
use unicode_width::UnicodeWidthStr as _;

use super::table::{Cell, Column, Kind, Tone};
use super::{Look, wrap};

/// The number of spaces between two columns.
const GAP: u16 = 2;

/// The indentation of what belongs to the line above.
const INDENT: &str = "  ";

/// The least width of a column of prose that is wrapped.
const LEAST_WRAPPED_WIDTH: usize = 15;

/// Between two rows, where the long value of the second one goes. No value has this character.
const SEPARATOR: char = '\u{1f}';

/// Columns and their rows, each with a cell for each column.
pub struct Rows {
    pub columns: Vec<Column>,
    pub cells: Vec<Vec<Cell>>,
    /// Whether prose is cut off where it does not fit, so that a row is one line.
    pub are_short: bool,
}

impl Rows {
    /// Renders the lines, each with a line feed.
    pub fn render(self, look: &Look) -> String {
        let Some(width) = look.width.map(usize::from) else { return lines_to_text(self.grid(look, None)) };
        let least: Vec<usize> = (0..self.columns.len()).map(|index| self.least_width(index, width)).collect();
        let gaps = usize::from(GAP) * self.columns.len().saturating_sub(1);
        let all = least.iter().sum::<usize>() + gaps;
        if all <= width || self.columns.len() == 1 {
            return lines_to_text(self.grid(look, None));
        }
        let Some(long) = self.columns.iter().position(|column| column.kind == Kind::Long) else {
            return self.blocks(look, width);
        };
        let rest = all - least[long] - usize::from(GAP);
        let is_last = long + 1 == self.columns.len();
        if is_last && self.columns.iter().all(|column| column.kind != Kind::Prose) {
            let room = width.saturating_sub(rest + usize::from(GAP));
            if self.columns[long].title.width() <= room {
                return self.long_values_below(long, room, look);
            }
        }
        if rest + INDENT.len() <= width {
            return self.long_values_above(long, width, look);
        }
        self.blocks(look, width)
    }

    /// The least width of a column, without the gap behind it.
    fn least_width(&self, index: usize, width: usize) -> usize {
        let column = &self.columns[index];
        let texts = || self.cells.iter().map(|row| row[index].text.as_str()).chain([column.title]);
        let whole = texts().map(|text| text.width()).max().unwrap_or(0);
        match column.kind {
            Kind::Prose if self.are_short => whole.min(LEAST_WRAPPED_WIDTH),
            Kind::Prose => {
                let word =
                    texts().flat_map(|text| text.split(' ')).map(|word| word.width()).max().unwrap_or(0);
                // A longer word has to be broken, or it would take all the room.
                whole.min(LEAST_WRAPPED_WIDTH.max(word.min(width / 2)))
            }
            _ => whole,
        }
    }

    /// Each row in one line or, with wrapped prose, in several. Between two rows is a line of separators if `separated`
    /// is the width of the terminal that is left.
    fn grid(self, look: &Look, separated: Option<u16>) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        // `look` decides, not what comfy-table detects by itself.
        table.force_no_tty();
        if look.colour {
            table.enforce_styling();
        }
        match look.width {
            Some(width) => {
                let rule = LineStyle::none().fill(if look.draws_lines { '─' } else { '-' });
                let mut style = TableStyle::new().header_separator(rule);
                if separated.is_some() {
                    style = style.row_separator(LineStyle::none().fill(SEPARATOR));
                }
                table
                    .load_style(style)
                    .set_content_arrangement(ContentArrangement::Dynamic)
                    .set_width(separated.unwrap_or(width))
                    .set_truncation_indicator(if look.draws_lines { "…" } else { "..." });
            }
            None => {
                table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        let width = usize::from(look.width.unwrap_or(u16::MAX));
        let least: Vec<usize> = (0..self.columns.len()).map(|index| self.least_width(index, width)).collect();
        let last = self.columns.len().saturating_sub(1);
        table.set_header(
            self.columns
                .iter()
                .map(|column| comfy_table::Cell::new(column.title).add_attribute(Attribute::Bold)),
        );
        for row in self.cells {
            let mut row = comfy_table::Row::from(row.into_iter().map(dress).collect::<Vec<_>>());
            if self.are_short {
                row.max_height(1);
            }
            table.add_row(row);
        }
        for (index, (column, spec)) in table.column_iter_mut().zip(&self.columns).enumerate() {
            let gap = if index < last { GAP } else { 0 };
            column.set_padding((0, gap));
            if spec.kind == Kind::Number {
                column.set_cell_alignment(CellAlignment::Right);
            }
            column.set_constraint(match spec.kind {
                Kind::Prose => {
                    let least = u16::try_from(least[index]).unwrap_or(u16::MAX).saturating_add(gap);
                    ColumnConstraint::LowerBoundary(Width::Fixed(least))
                }
                _ => ColumnConstraint::ContentWidth,
            });
        }
        let width = look.width.map(usize::from);
        table.lines().map(|line| tidy(&line, width)).collect()
    }

    /// A grid in which the values of the last column that are wider than `room` follow on a line of their own.
    fn long_values_below(mut self, long: usize, room: usize, look: &Look) -> String {
        let mut below = Vec::new();
        for row in &mut self.cells {
            let cell = &mut row[long];
            let is_wide = cell.text.width() > room;
            // A space, as an empty value would be shown as `-`.
            below.push(is_wide.then(|| std::mem::replace(cell, Cell::from(" "))));
        }
        let lines = self.grid(look, None);
        let rows = lines.len() - below.len();
        let mut text = String::new();
        for (number, line) in lines.iter().enumerate() {
            text.push_str(&format!("{line}\n"));
            let cell = number.checked_sub(rows).and_then(|row| below[row].as_ref());
            if let Some(cell) = cell {
                text.push_str(&format!("{INDENT}{}\n", paint(&cell.text, cell.tone, look)));
            }
        }
        text
    }

    /// The value of one column as a headline, and the others below it in a grid.
    fn long_values_above(mut self, long: usize, width: usize, look: &Look) -> String {
        let title = self.columns.remove(long).title;
        let heads: Vec<Cell> = self.cells.iter_mut().map(|row| row.remove(long)).collect();
        let widest = heads.iter().map(|head| head.text.width()).max().unwrap_or(0);
        let left = u16::try_from(width - INDENT.len()).unwrap_or(u16::MAX);
        let lines = self.grid(look, Some(left));
        let rule = if look.draws_lines { "─" } else { "-" };
        let mut heads = heads.iter();
        let mut text = format!("{}\n", look.bold(title));
        for line in lines {
            let is_header_rule = is_rule(&line);
            if is_header_rule {
                let widest = widest.max(line.width() + INDENT.len()).min(width);
                text.push_str(&format!("{}\n", rule.repeat(widest)));
            }
            if is_header_rule || line.starts_with(SEPARATOR) {
                let head = heads.next();
                text.extend(head.map(|head| paint(&head.text, head.tone, look) + "\n"));
            } else {
                text.push_str(&format!("{INDENT}{line}\n"));
            }
        }
        text
    }

    /// A block for each row, with a line for each value.
    fn blocks(self, look: &Look, width: usize) -> String {
        let widest = self.columns.iter().map(|column| column.title.width()).max().unwrap_or(0);
        let gap = usize::from(GAP);
        let block = |row: &Vec<Cell>| -> String {
            let line = |(column, cell): (&Column, &Cell)| {
                let label = look.bold(&format!("{:widest$}", column.title));
                let values = match column.kind {
                    Kind::Prose => wrap(&cell.text, width.saturating_sub(widest + gap)),
                    _ => vec![cell.text.clone()],
                };
                let text = values.join(&format!("\n{:1$}", "", widest + gap));
                format!("{label}{:gap$}{}\n", "", paint(&text, cell.tone, look))
            };
            self.columns.iter().zip(row).map(line).collect()
        };
        self.cells.iter().map(block).collect::<Vec<_>>().join("\n")
    }
}

fn lines_to_text(lines: Vec<String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Whether a line is the rule below the header.
fn is_rule(line: &str) -> bool {
    line.starts_with('─') || line.starts_with("----")
}

/// Removes what would make the terminal wrap a line needlessly: trailing spaces, which may be in bold type, and the excess of
/// a rule.
fn tidy(line: &str, width: Option<usize>) -> String {
    const RESET: &str = "\x1b[0m";
    let line = line.trim_end();
    if is_rule(line) {
        return line.chars().take(width.unwrap_or(usize::MAX)).collect();
    }
    match line.strip_suffix(RESET) {
        Some(styled) => styled.trim_end().to_owned() + RESET,
        None => line.to_owned(),
    }
}

/// What is shown for a value.
fn shown(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn dress(cell: Cell) -> comfy_table::Cell {
    let dressed = comfy_table::Cell::new(shown(&cell.text));
    match cell.tone {
        Tone::Plain => dressed,
        Tone::Good => dressed.fg(Color::Green),
        Tone::Odd => dressed.fg(Color::Yellow),
        Tone::Bad => dressed.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}

/// Returns a value outside a grid, in the colours that it would have in one.
fn paint(text: &str, tone: Tone, look: &Look) -> String {
    let style = match tone {
        Tone::Good if look.colour => "92",
        Tone::Odd if look.colour => "93",
        Tone::Bad if look.colour => "1;91",
        _ => return shown(text).to_owned(),
    };
    format!("\x1b[{style}m{}\x1b[0m", shown(text))
}
