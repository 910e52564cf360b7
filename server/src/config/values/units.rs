//! Quantities with a unit.

use std::time::Duration;

use admin_api::units::{SizeError, parse_size};

use crate::config::keys::Kind;
use crate::config::wrong::{Wrong, shown};

/// A number of bytes.
pub fn size(text: &str) -> Result<u64, Wrong> {
    parse_size(text).map_err(|error| match error {
        SizeError::Malformed => Wrong::new(text, Kind::Size.expected()),
        SizeError::TooLarge => {
            Wrong::because(format!("{} is out of range", shown(text)), Kind::Size.expected())
        }
    })
}

/// A length of time.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    humantime::parse_duration(text).map_err(|_| Wrong::new(text, Kind::Duration.expected()))
}

/// A length of time that is not zero.
pub fn positive_duration(text: &str) -> Result<Duration, Wrong> {
    match duration(text)? {
        Duration::ZERO => Err(Wrong::new(text, Kind::PositiveDuration.expected())),
        duration => Ok(duration),
    }
}

/// The pause between two runs of a job that may be switched off.
pub fn interval(text: &str) -> Result<Option<Duration>, Wrong> {
    if matches!(text.to_ascii_lowercase().as_str(), "0" | "off" | "no" | "false") {
        return Ok(None);
    }
    match duration(text) {
        Ok(Duration::ZERO) => Ok(None),
        Ok(duration) => Ok(Some(duration)),
        Err(_) => Err(Wrong::new(text, Kind::Interval.expected())),
    }
}
