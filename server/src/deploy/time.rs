//! Points in time as clients write them: ISO 8601 in UTC (protocol reference 7.3 and 7.7).

use std::time::{Duration, UNIX_EPOCH};

use catalog::UnixTime;

/// Longest text that may be a time.
const LONGEST: usize = 40;

/// Reads a time such as `2026-01-01T12:00:00.123456789012Z`. Parts of a second are cut off.
pub fn parse(text: &str) -> Option<UnixTime> {
    if text.len() > LONGEST {
        return None;
    }
    let whole = match text.split_once('.') {
        // Clients write up to twelve digits, more than any parser takes.
        Some((whole, rest)) => {
            let digits = rest.strip_suffix('Z')?;
            let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            good.then(|| format!("{whole}Z"))?
        }
        None => text.to_owned(),
    };
    let time = humantime::parse_rfc3339(&whole).ok()?;
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(seconds).ok().map(UnixTime)
}

/// Writes a time such as `2026-01-01T12:00:00Z`. Times before 1970 and after the year 9999 become the nearest one.
pub fn format(time: UnixTime) -> String {
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(time.0).unwrap_or(0).min(LAST);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_whatever_the_digits_of_their_seconds() {
        let noon = Some(UnixTime(1_767_268_800));
        for text in ["2026-01-01T12:00:00Z", "2026-01-01T12:00:00.1Z", "2026-01-01T12:00:00.123456789012Z"] {
            assert_eq!(parse(text), noon, "{text}");
        }
        for text in [
            "",
            "now",
            "2026-01-01",
            "2026-01-01T12:00:00.Z",
            "2026-01-01T12:00:00.1",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        assert_eq!(format(UnixTime(1_767_268_800)), "2026-01-01T12:00:00Z");
        assert_eq!(format(UnixTime(-5)), "1970-01-01T00:00:00Z");
        assert_eq!(format(UnixTime(i64::MAX)), "9999-12-31T23:59:59Z");
        assert_eq!(parse(&format(UnixTime(1_700_000_001))), Some(UnixTime(1_700_000_001)));
    }
}
