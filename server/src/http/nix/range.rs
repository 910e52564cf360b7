//! The `Range` header (RFC 9110, section 14).

use std::ops::Range;

/// The part of a file that a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Requested {
    /// The whole file. Also for several ranges at once and for unknown units, which a server may ignore.
    Whole,
    /// These bytes; never empty.
    Part(Range<u64>),
    /// A range outside of the file.
    Unsatisfiable,
}

/// Parses the value of a `Range` header for a file of `size` bytes.
pub fn requested(header: &str, size: u64) -> Requested {
    let Some(ranges) = header.trim().strip_prefix("bytes=") else { return Requested::Whole };
    let Some((first, last)) = ranges.split_once('-').filter(|_| !ranges.contains(',')) else {
        return Requested::Whole;
    };
    match (first.trim(), last.trim()) {
        ("", last) => suffix(last, size),
        (first, "") => match first.parse() {
            Ok(first) => part(first, size, size),
            Err(_) => Requested::Whole,
        },
        (first, last) => match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => part(first, last.saturating_add(1).min(size), size),
            _ => Requested::Whole,
        },
    }
}

fn suffix(length: &str, size: u64) -> Requested {
    match length.parse::<u64>() {
        Ok(length) if length > 0 => part(size.saturating_sub(length), size, size),
        Ok(_) => Requested::Unsatisfiable,
        Err(_) => Requested::Whole,
    }
}

fn part(start: u64, end: u64, size: u64) -> Requested {
    if start >= size { Requested::Unsatisfiable } else { Requested::Part(start..end) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_range_is_understood_or_ignored() {
        let cases = [
            ("bytes=0-9", Requested::Part(0..10)),
            ("bytes=100-", Requested::Unsatisfiable),
            ("bytes=90-", Requested::Part(90..100)),
            ("bytes=90-200", Requested::Part(90..100)),
            ("bytes=-10", Requested::Part(90..100)),
            ("bytes=-1000", Requested::Part(0..100)),
            ("bytes=-0", Requested::Unsatisfiable),
            ("bytes=5-4", Requested::Whole),
            ("bytes=0-1,5-6", Requested::Whole),
            ("bytes=x-", Requested::Whole),
            ("bytes=", Requested::Whole),
            ("lines=1-2", Requested::Whole),
            ("bytes=18446744073709551615-", Requested::Unsatisfiable),
            ("bytes=0-18446744073709551615", Requested::Part(0..100)),
        ];
        for (header, expected) in cases {
            assert_eq!(requested(header, 100), expected, "{header}");
        }
    }

    #[test]
    fn no_range_of_an_empty_file_is_satisfiable() {
        for header in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(requested(header, 0), Requested::Unsatisfiable, "{header}");
        }
    }
}
