//! Texts and figures for people.

use std::fmt::Write;

/// Shows what a text holds and does not show, so that the text of a stranger can neither hide a part of itself nor rearrange what is
/// around it: control characters, marks of writing direction, and characters without width. HTML is escaped elsewhere.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push('\t'),
            // As terminals and `cat -v` write them.
            '\u{0}'..='\u{1f}' => {
                shown.push('^');
                shown.extend(char::from_u32(0x40 + u32::from(character)));
            }
            '\u{7f}' => shown.push_str("^?"),
            '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' => {
                let _ = write!(shown, "\u{27e8}U+{:04X}\u{27e9}", u32::from(character));
            }
            other => shown.push(other),
        }
    }
    shown
}

/// A size such as `1.4 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes}\u{a0}B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 99.95 {
        format!("{value:.1}\u{a0}{}", UNITS[unit])
    } else {
        format!("{value:.0}\u{a0}{}", UNITS[unit])
    }
}

/// A number such as `1,234,567`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 path`, `2 paths`.
pub fn count(value: u64, one: &str, many: &str) -> String {
    format!("{}\u{a0}{}", number(value), if value == 1 { one } else { many })
}

/// Encodes a text as one segment of a path, or as the value of a parameter in a query.
pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// How many bytes a text takes in a page.
pub fn length_in_html(text: &str) -> usize {
    text.bytes().map(|byte| if matches!(byte, b'<' | b'>' | b'&' | b'"') { 6 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_hidden() {
        assert_eq!(visible("a\tb <b> \u{fc}"), "a\tb <b> \u{fc}");
        assert_eq!(visible("\u{1b}[31mred\u{0}\n"), "^[[31mred^@^J");
        assert_eq!(visible("x\u{202e}gnp.exe"), "x\u{27e8}U+202E\u{27e9}gnp.exe");
        assert_eq!(visible("\u{9b}\u{200b}"), "\u{27e8}U+009B\u{27e9}\u{27e8}U+200B\u{27e9}");
    }

    #[test]
    fn figures_are_short() {
        let sizes =
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (150 << 20, "150 MiB"), (1 << 40, "1.0 TiB")];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text.replace(' ', "\u{a0}"));
        }
        assert_eq!(size((1 << 20) - 1), "1.0\u{a0}MiB");
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(value), text);
        }
    }
}
