#![allow(clippy::unwrap_used)]

use super::*;

const PLAIN: Look = Look { width: None, colour: false, draws_lines: true, now: 0 };
const TERMINAL: Look = Look { width: Some(40), colour: false, draws_lines: true, now: 0 };

fn sample() -> Table<3> {
    let mut table = Table::new([Column::text("NAME"), Column::number("SIZE"), Column::prose("REMARK")]);
    table.add(["a".into(), "1 B".into(), Cell::new("some words that are too many here", Tone::Bad)]);
    table.add(["longer".into(), "12 B".into(), "".into()]);
    table
}

#[test]
fn a_size_has_three_digits_at_most_and_never_1024_of_a_unit() {
    for (bytes, text) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (10_239, "10.0 KiB"),
        (102_399, "100 KiB"),
        (1024 * 1024 - 1, "1.00 MiB"),
        (1_299_227_607, "1.21 GiB"),
        (107_374_182_400, "100 GiB"),
        (u64::MAX, "16.0 EiB"),
    ] {
        assert_eq!(size(bytes), text, "{bytes}");
    }
    assert_eq!(size_exact(1_299_227_607), "1.21 GiB (1,299,227,607 bytes)");
    assert_eq!(size_exact(12), "12 bytes");
}

#[test]
fn thousands_are_separated() {
    for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
        assert_eq!(count(number), text);
    }
}

#[test]
fn things_are_counted_with_their_plural() {
    assert_eq!(counted(0, "file"), "0 files");
    assert_eq!(counted(1, "file"), "1 file");
    assert_eq!(counted(1_234, "file"), "1,234 files");
}

#[test]
fn only_nothing_is_0_percent() {
    for (part, text) in [(0.0, "0 %"), (0.0001, "<1 %"), (0.006, "1 %"), (0.334, "33 %"), (1.0, "100 %")] {
        assert_eq!(percent(part), text, "{part}");
    }
    assert_eq!(share(0.331, Some(0.34)), "33 % of 34 %");
    assert_eq!(share(0.331, None), "33 %");
}

#[test]
fn an_age_has_no_more_units_than_are_useful() {
    let day = 86_400;
    for (seconds, text) in [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (61, "1m 1s"),
        (10 * 60 + 59, "10m"),
        (3600 + 59, "1h"),
        (3 * day + 4 * 3600 + 5, "3d 4h"),
        (89 * day + 23 * 3600, "89d"),
        (365 * day + 35 * day, "1y 35d"),
    ] {
        assert_eq!(age(seconds), text, "{seconds}");
    }
}

#[test]
fn a_time_lies_before_or_after_the_present() {
    assert_eq!(relative(100, 40), "1m ago");
    assert_eq!(relative(100, 100), "0s ago");
    assert_eq!(relative(40, 100), "in 1m");
    assert!(relative(i64::MIN, i64::MAX).starts_with("in "));
}

#[test]
fn every_time_can_be_shown() {
    assert_eq!(date(1_763_535_060), "2025-11-19 06:51:00 UTC");
    assert_eq!(date(i64::MAX), "9999-12-31 23:59:59 UTC");
    assert_eq!(date(i64::MIN), "1970-01-01 00:00:00 UTC");
}

#[test]
fn control_characters_are_escaped() {
    assert_eq!(plain("a\x1b[31mb\nc\u{9b}é"), "a\\u{1b}[31mb\\nc\\u{9b}é");
    let cell: Cell = "x\r\x1b[2J".into();
    let mut table = Table::new([Column::text("T")]);
    table.add([cell]);
    assert_eq!(table.render(&PLAIN), "T\nx\\r\\u{1b}[2J\n");
}

#[test]
fn away_from_a_terminal_each_row_is_one_line_without_rules() {
    assert_eq!(
        sample().render(&PLAIN),
        "NAME    SIZE  REMARK\n\
         a        1 B  some words that are too many here\n\
         longer  12 B  -\n"
    );
}

#[test]
fn on_a_terminal_only_prose_is_wrapped() {
    assert_eq!(
        sample().render(&TERMINAL),
        "NAME    SIZE  REMARK\n\
         ─────────────────────────────────────\n\
         a        1 B  some words that are too\n              many here\n\
         longer  12 B  -\n"
    );
    let mut table = Table::new([Column::text("KEY"), Column::text("STATE")]);
    table.add(["k".repeat(60).into(), "ok".into()]);
    let text = table.render(&TERMINAL);
    assert!(text.contains(&"k".repeat(60)), "{text}");
}

#[test]
fn a_column_without_values_can_be_left_out() {
    let table = |damaged: &str| {
        let mut table = Table::new([
            Column::text("NAME"),
            Column::text("NOTE"),
            Column::number("DAMAGED").unless_empty(),
        ]);
        table.add(["a".into(), "".into(), "".into()]);
        table.add(["b".into(), "".into(), damaged.into()]);
        table.render(&PLAIN)
    };
    assert_eq!(table(""), "NAME  NOTE\na     -\nb     -\n");
    assert_eq!(table("3"), "NAME  NOTE  DAMAGED\na     -           -\nb     -           3\n");
}

#[test]
fn colour_is_used_only_when_wanted() {
    let coloured = sample().render(&Look { colour: true, ..TERMINAL });
    assert!(coloured.contains("\x1b[1mNAME"), "{coloured:?}");
    assert!(!sample().render(&TERMINAL).contains('\x1b'));
    assert_eq!(PLAIN.bold("x"), "x");
    assert_eq!(Look { colour: true, ..PLAIN }.bold("x"), "\x1b[1mx\x1b[0m");
}

/// Two rows of a name, a value and a word about it; the value of the second is too long for a line.
fn long(value: Column) -> Table<3> {
    let mut table = Table::new([Column::text("NAME"), value, Column::prose("REMARK")]);
    table.add(["a".into(), "short".into(), "fine".into()]);
    table.add(["b".into(), "k".repeat(36).into(), Cell::new("longer than all others", Tone::Bad)]);
    table
}

#[test]
fn a_long_value_is_a_headline_if_its_table_is_too_wide() {
    let text = long(Column::long("VALUE")).render(&TERMINAL);
    let value = "k".repeat(36);
    let rule = "─".repeat(36);
    assert_eq!(
        text,
        format!(
            "VALUE\n  NAME  REMARK\n{rule}\n\
             short\n  a     fine\n\
             {value}\n  b     longer than all others\n"
        )
    );
    assert_eq!(long(Column::long("VALUE")).render(&PLAIN), long(Column::text("VALUE")).render(&PLAIN));
}

#[test]
fn a_long_value_of_the_last_column_is_below_its_row_if_it_does_not_fit() {
    let mut table = Table::new([Column::number("SIZE"), Column::long("PATH")]);
    table.add(["1 B".into(), "short".into()]);
    table.add(["2 B".into(), "k".repeat(36).into()]);
    let value = "k".repeat(36);
    assert_eq!(table.render(&TERMINAL), format!("SIZE  PATH\n───────────\n 1 B  short\n 2 B\n  {value}\n"));
}

#[test]
fn a_table_that_does_not_fit_at_all_becomes_blocks() {
    for colour in [false, true] {
        let text = long(Column::text("VALUE")).render(&Look { colour, ..TERMINAL });
        let codes = ["\x1b[0m", "\x1b[1m", "\x1b[1;91m"];
        let text = codes.iter().fold(text, |text, code| text.replace(code, ""));
        let value = "k".repeat(36);
        assert_eq!(
            text,
            format!(
                "NAME    a\nVALUE   short\nREMARK  fine\n\n\
                 NAME    b\nVALUE   {value}\nREMARK  longer than all others\n"
            )
        );
    }
}

#[test]
fn notes_are_broken_between_words() {
    let text = "disk: the quick brown fox jumps over the lazy dog";
    assert_eq!(note(text, &PLAIN), format!("{text}\n"));
    assert_eq!(note(text, &TERMINAL), "disk: the quick brown fox jumps over\n  the lazy dog\n");
    assert_eq!(note("short", &TERMINAL), "short\n");
    assert_eq!(wrap(&"k".repeat(50), 10), ["k".repeat(50)]);
}

#[test]
fn the_values_of_fields_stand_in_one_column() {
    let mut fields = Fields::new();
    fields.add("Name", "a").add_list("References", &["b", "c"]).add_list::<&str>("None", &[]);
    assert_eq!(fields.render(&PLAIN), "Name        a\nReferences  b\n            c\nNone        -\n");
}
