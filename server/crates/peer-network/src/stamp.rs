//! Points in time as records carry them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far in the future a record's time may be: clocks differ, but what claims to be from tomorrow would never age.
const CLOCK_SKEW: u32 = 10 * 60;

/// Seconds since 1970, in four bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Stamp(pub u32);

impl Stamp {
    /// The time by the system's clock.
    pub fn now() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        Self(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// How long ago it was; nothing for a time that is still to come.
    pub fn age(self, now: Self) -> Duration {
        Duration::from_secs(u64::from(now.0.saturating_sub(self.0)))
    }

    /// Whether it is no older than `max_age`, nor from an impossible future.
    pub fn is_fresh(self, now: Self, max_age: Duration) -> bool {
        self.age(now) <= max_age && self.0 <= now.0.saturating_add(CLOCK_SKEW)
    }
}
