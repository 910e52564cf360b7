use unicode_width::UnicodeWidthStr as _;

use super::Look;

/// The indentation of the second line of a note, and of all that follow.
const INDENT: &str = "  ";

/// Renders a note below a table: a sentence that is broken between words on a terminal, with a line feed at the end.
pub fn note(text: &str, look: &Look) -> String {
    let Some(width) = look.width.map(usize::from) else { return format!("{text}\n") };
    if text.width() <= width {
        return format!("{text}\n");
    }
    let lines = wrap(text, width.saturating_sub(INDENT.len()));
    lines.join(&format!("\n{INDENT}")) + "\n"
}

/// Breaks a text between words into lines that are not wider than `width`, but for words that are.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
