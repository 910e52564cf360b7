//! Sizes, counts, shares and times for people.

use std::time::{Duration, UNIX_EPOCH};

pub use admin_api::units::rounded_size as size;

/// The units of an age, and how many seconds each has.
const AGE_UNITS: [(u64, &str); 5] = [(365 * 86_400, "y"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

/// The last second that `humantime` can write, 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// Returns a size both rounded and exact: `1.21 GiB (1,299,227,607 bytes)`.
pub fn size_exact(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    format!("{} ({} bytes)", size(bytes), count(bytes))
}

/// Returns a number with separated thousands: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number with its noun: `1 file`, `12,345 files`.
pub fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", count(number))
}

/// Returns a part of a whole, from 0 to 1, in percent: `33 %`. Only 0 is 0 %.
pub fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 0.0 && percent < 0.5 { "<1 %".to_owned() } else { format!("{percent:.0} %") }
}

/// Returns the actual share and the wanted one: `33 % of 34 %`.
pub fn share(actual: f64, wanted: Option<f64>) -> String {
    match wanted {
        Some(wanted) => format!("{} of {}", percent(actual), percent(wanted)),
        None => percent(actual),
    }
}

/// Returns a time span in its largest unit, with the next unit below 10: `3d 4h`, `89d`.
pub fn age(seconds: u64) -> String {
    let largest = AGE_UNITS.iter().position(|&(length, _)| seconds >= length);
    // A span of 0 seconds has no whole unit.
    let index = largest.unwrap_or(AGE_UNITS.len() - 1);
    let (length, name) = AGE_UNITS[index];
    let whole = seconds / length;
    match AGE_UNITS.get(index + 1) {
        Some(&(next_length, next_name)) if whole < 10 && seconds % length >= next_length => {
            format!("{whole}{name} {}{next_name}", seconds % length / next_length)
        }
        _ => format!("{whole}{name}"),
    }
}

/// Returns a time relative to `now`: `3d 4h ago`, `in 89d`.
pub fn relative(now: i64, time: i64) -> String {
    let span = age(now.abs_diff(time));
    if time > now { format!("in {span}") } else { format!("{span} ago") }
}

/// Returns a time in Unix seconds as `2026-11-19 06:51:00 UTC`.
pub fn date(time: i64) -> String {
    let seconds = u64::try_from(time).unwrap_or(0).min(LAST_SECOND);
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds));
    time.to_string().replace('T', " ").replace('Z', " UTC")
}
