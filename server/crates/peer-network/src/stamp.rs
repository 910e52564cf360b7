//! Times in records.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far in the future the time of a record may be in seconds: clocks differ, but a record from tomorrow would never expire.
const CLOCK_SKEW: u32 = 10 * 60;

/// Seconds since 1970, in four bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Stamp(pub u32);

impl Stamp {
    /// Returns the time of the system clock.
    pub fn now() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        Self(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Returns the age, zero for a time in the future.
    pub fn age(self, now: Self) -> Duration {
        Duration::from_secs(u64::from(now.0.saturating_sub(self.0)))
    }

    /// Returns whether the time is at most `max_age` old and not too far in the future.
    pub fn is_fresh(self, now: Self, max_age: Duration) -> bool {
        self.age(now) <= max_age && self.0 <= now.0.saturating_add(CLOCK_SKEW)
    }
}
