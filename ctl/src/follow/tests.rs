#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use admin_api::Unit;

use super::lines::Lines;
use super::*;

const GIB: u64 = 1 << 30;

fn bytes(done: u64, total: Option<u64>) -> Figures {
    Figures { done, total, unit: Unit::Bytes }
}

fn files(done: u64) -> Figures {
    Figures { done, total: Some(1_000), unit: Unit::Files }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn figures_say_how_much_is_done_of_how_much() {
    for (figures, text) in [
        (bytes(12 * GIB, Some(43 * GIB)), "12.0 GiB of 43.0 GiB (27 %)"),
        (bytes(GIB, None), "1.00 GiB"),
        (bytes(0, Some(0)), "0 B of 0 B (100 %)"),
        (bytes(5, Some(4)), "5 B of 4 B (100 %)"),
        (bytes(u64::MAX - 1, Some(u64::MAX)), "16.0 EiB of 16.0 EiB (99 %)"),
        (Figures { unit: Unit::Paths, ..files(250) }, "250 of 1,000 paths (25 %)"),
        (Figures { unit: Unit::Unknown, ..files(250) }, "250 of 1,000 (25 %)"),
    ] {
        assert_eq!(figures.text(), text);
    }
}

#[test]
fn figures_with_a_speed_include_the_remaining_time() {
    for (figures, rate, text) in [
        (bytes(GIB, Some(2 * GIB)), 1_048_576.0, "1.00 GiB of 2.00 GiB (50 %), 1.00 MiB/s, 17m left"),
        (bytes(GIB, None), 1_048_576.0, "1.00 GiB, 1.00 MiB/s"),
        (files(400), 1_234.0, "400 of 1,000 files (40 %), 1,234 files/s"),
        (files(400), 0.5, "400 of 1,000 files (40 %), 0.5 files/s, 20m left"),
        (files(400), 0.0, "400 of 1,000 files (40 %)"),
        (files(400), f64::NAN, "400 of 1,000 files (40 %)"),
        (files(400), f64::INFINITY, "400 of 1,000 files (40 %)"),
        (bytes(0, Some(u64::MAX)), 1.0, "0 B of 16.0 EiB (0 %), 1 B/s"),
    ] {
        assert_eq!(figures.text_at(rate), text);
    }
}

#[test]
fn lines_come_at_most_every_ten_seconds() {
    let start = Instant::now();
    let mut lines = Lines::new(start);
    let shown: Vec<_> = (0..=40_u64)
        .filter_map(|second| lines.progress(files(second * 10), None, start + seconds(second)))
        .collect();
    assert_eq!(
        shown,
        [
            "100 of 1,000 files (10 %), 10 files/s, 1m 30s left",
            "200 of 1,000 files (20 %), 10 files/s, 1m 20s left",
            "300 of 1,000 files (30 %), 10 files/s, 1m 10s left",
            "400 of 1,000 files (40 %), 10 files/s, 1m left",
        ]
    );
}

#[test]
fn a_line_is_not_repeated_while_nothing_changes() {
    let start = Instant::now();
    let mut lines = Lines::new(start);
    assert!(lines.progress(files(5), Some("a"), start + seconds(10)).is_some());
    assert!(lines.progress(files(5), Some("a"), start + seconds(30)).is_none());
    let line = lines.progress(files(5), Some("b"), start + seconds(31));
    assert_eq!(line.as_deref(), Some("5 of 1,000 files (0 %): b"));
}

#[test]
fn work_that_was_done_before_does_not_count_for_the_speed() {
    let start = Instant::now();
    let mut lines = Lines::new(start);
    // Joined late.
    assert_eq!(lines.progress(files(500), None, start), None);
    let line = lines.progress(files(600), None, start + seconds(10));
    assert_eq!(line.as_deref(), Some("600 of 1,000 files (60 %), 10 files/s, 40s left"));
    // Another part of the work.
    assert_eq!(lines.progress(bytes(3 * GIB, None), None, start + seconds(11)), None);
    let line = lines.progress(bytes(3 * GIB + 20, None), None, start + seconds(21));
    assert_eq!(line.as_deref(), Some("3.00 GiB, 2 B/s"));
}
