//! Whether the system clock can be believed.
//!
//! A machine without a battery starts in 1970, a bad time server moves it by a year, a copy of a virtual machine wakes up
//! in the past. Garbage collection goes by the age of paths, so a clock that is ahead would remove everything, and what is
//! pushed while it is behind would be too old once it is right again. Therefore:
//!
//! * The daemon compares the clock with a monotonic one that cannot be set, and across restarts with the last time that it
//!   noted in the catalog. While they do not fit together, nothing is collected until somebody has looked at the clock
//!   (`cachectl gc --accept-clock`), or the clock is right again.
//! * Nothing is recorded with a time before the last one that was seen.

use std::time::Duration;

use catalog::{Catalog, CatalogError, UnixTime};
use parking_lot::{Mutex, MutexGuard};
use rustix::time::{ClockId, clock_gettime};

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;
/// How far the clock may move against the monotonic one at once. Time servers correct less, but for a machine whose clock
/// was never right.
const TOLERANCE: i64 = 60 * 60;
/// How long the daemon may have been away: over a long weekend. What is longer may just as well be a clock that is ahead.
const LONGEST_ABSENCE: i64 = 3 * 24 * 60 * 60;
/// A smaller step of the clock, or a shorter absence, does not count as one.
const STEP: i64 = 2 * 60;

/// How often the time is noted in the catalog.
pub const NOTE_INTERVAL: Duration = Duration::from_secs(60);

/// 2024-01-01. A clock before it was never set.
const NEVER_SET: UnixTime = UnixTime(1_704_067_200);

/// A length of time for a person: `3 days`.
pub fn span(seconds: u64) -> String {
    let units = [("day", DAY), ("hour", 60 * 60), ("minute", 60), ("second", 1)];
    let (unit, length) = units.into_iter().find(|(_, length)| seconds >= *length).unwrap_or(("second", 1));
    match seconds / length {
        1 => format!("1 {unit}"),
        number => format!("{number} {unit}s"),
    }
}

/// Watches the system clock.
pub struct Clock {
    catalog: Catalog,
    watch: Mutex<Watch>,
}

/// Why the clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It is ahead by so many seconds, or the daemon was away for so long.
    Ahead(u64),
    /// It is behind by so many seconds.
    Behind(u64),
}

impl Doubt {
    /// What is wrong, for a person.
    pub fn text(&self) -> String {
        match self {
            Self::Ahead(seconds) => {
                format!("the system clock is {} ahead of the time that was last seen", span(*seconds))
            }
            Self::Behind(seconds) => {
                format!("the system clock is {} behind the time that was last seen", span(*seconds))
            }
        }
    }

    /// What to do about it, for a person.
    pub fn advice(&self) -> &'static str {
        "no garbage is collected meanwhile: set the clock right, or, if `date` shows the right time, \
         run `cachectl gc --accept-clock`"
    }
}

impl Clock {
    /// Begins to watch, from the time that was last noted in the catalog on.
    pub async fn open(catalog: Catalog) -> Result<Self, CatalogError> {
        let now = Now::read();
        let watch = match catalog.time_last_seen().await? {
            Some(seen) => Watch::after_absence(seen, now),
            None => Watch::from_now(now),
        };
        let clock = Self { catalog, watch: Mutex::new(watch) };
        if let Some(doubt) = clock.doubt() {
            tracing::error!("{}; {}", doubt.text(), doubt.advice());
        }
        Ok(clock)
    }

    /// Looks at the clock now. Returns what is wrong with it, if anything is.
    pub fn doubt(&self) -> Option<Doubt> {
        let mut watch = self.lock();
        let doubt = watch.look(Now::read());
        UnixTime::never_before(watch.earliest());
        doubt
    }

    /// Whether what was recorded a while ago is really that old: the clock is right, and has not been moved for so long.
    pub fn is_steady_for(&self, duration: Duration) -> bool {
        if self.doubt().is_some() {
            return false;
        }
        let watch = self.lock();
        let now = Now::read().monotonic;
        watch.stepped_at.is_none_or(|at| now.saturating_sub(at) >= seconds(duration.as_secs()))
    }

    /// Notes the time in the catalog; while the clock is in doubt, the earliest that it can be. Says so in the log when that
    /// begins or ends. To be called every [`NOTE_INTERVAL`].
    pub async fn note(&self) -> Result<(), CatalogError> {
        let before = self.lock().told;
        let doubt = self.doubt();
        self.lock().told = doubt.is_some();
        match doubt {
            Some(doubt) if !before => tracing::error!("{}; {}", doubt.text(), doubt.advice()),
            None if before => tracing::info!("the system clock is believed again"),
            _ => {}
        }
        let time = if doubt.is_some() { self.lock().earliest } else { UnixTime::now() };
        self.catalog.note_time(time).await
    }

    /// Believes the clock as it is now: somebody has looked at it.
    pub async fn accept(&self) -> Result<(), CatalogError> {
        let now = Now::read();
        self.catalog.reset_time(now.wall).await?;
        *self.lock() = Watch::from_now(now);
        UnixTime::reset_never_before(now.wall);
        tracing::info!("the system clock was accepted");
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock()
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Now {
    wall: UnixTime,
    /// Seconds since the machine was started, those that it slept through included.
    monotonic: i64,
}

impl Now {
    fn read() -> Self {
        Self { wall: UnixTime::of_system_clock(), monotonic: clock_gettime(ClockId::Boottime).tv_sec }
    }
}

/// What is known of the clock.
#[derive(Debug)]
struct Watch {
    /// The last time that was believed.
    seen: UnixTime,
    /// When that was on the monotonic clock or, if it was in an earlier run, when this run began.
    at: i64,
    /// Whether it was in an earlier run.
    earlier_run: bool,
    /// When the clock was last moved, on the monotonic clock.
    stepped_at: Option<i64>,
    /// The earliest that it can be.
    earliest: UnixTime,
    /// Whether the log says that it is in doubt.
    told: bool,
}

impl Watch {
    fn from_now(now: Now) -> Self {
        Self {
            seen: now.wall,
            at: now.monotonic,
            earlier_run: false,
            stepped_at: None,
            earliest: now.wall,
            told: false,
        }
    }

    fn after_absence(seen: UnixTime, now: Now) -> Self {
        // The earlier run may have gone on for so long, in which tokens may have expired.
        let unnoted = if now.wall < seen { seconds(NOTE_INTERVAL.as_secs()) } else { 0 };
        let earliest = UnixTime(seen.0.saturating_add(unnoted));
        Self { seen, at: now.monotonic, earlier_run: true, stepped_at: None, earliest, told: false }
    }

    fn look(&mut self, now: Now) -> Option<Doubt> {
        let expected = UnixTime(self.seen.0.saturating_add(now.monotonic - self.at));
        if self.seen >= NEVER_SET {
            // Both clocks are read in whole seconds, so this may be up to one ahead of what it is.
            self.earliest = self.earliest.max(UnixTime(expected.0 - 1));
        }
        if now.wall < NEVER_SET {
            let behind = self.seen.max(NEVER_SET).0 - now.wall.0;
            return Some(Doubt::Behind(behind.unsigned_abs()));
        }
        if self.seen < NEVER_SET {
            // It is set for the first time.
            *self = Self { stepped_at: Some(now.monotonic), told: self.told, ..Self::from_now(now) };
            return None;
        }
        let moved = now.wall.0.saturating_sub(expected.0);
        let ahead = if self.earlier_run { LONGEST_ABSENCE } else { TOLERANCE };
        if moved < -TOLERANCE {
            return Some(Doubt::Behind(moved.unsigned_abs()));
        }
        if moved > ahead {
            return Some(Doubt::Ahead(moved.unsigned_abs()));
        }
        if moved > STEP {
            self.stepped_at = Some(now.monotonic);
        }
        (self.seen, self.at, self.earlier_run) = (now.wall, now.monotonic, false);
        self.earliest = self.earliest.max(now.wall);
        None
    }

    fn earliest(&self) -> UnixTime {
        self.earliest
    }
}

fn seconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000;
    const DAY: i64 = 24 * 60 * 60;

    fn now(wall: i64, monotonic: i64) -> Now {
        Now { wall: UnixTime(START + wall), monotonic }
    }

    fn running() -> Watch {
        Watch::from_now(now(0, 100))
    }

    fn restarted() -> Watch {
        Watch::after_absence(UnixTime(START), now(0, 100))
    }

    #[test]
    fn a_clock_that_goes_on_is_believed() {
        let mut watch = running();
        for minute in 1..100 {
            // It is slow, by 10 seconds a minute.
            assert_eq!(watch.look(now(minute * 50, 100 + minute * 60)), None);
        }
        assert_eq!(watch.stepped_at, None);
    }

    #[test]
    fn no_time_that_an_earlier_run_may_have_seen_comes_again() {
        let mut watch = Watch::after_absence(UnixTime(START), now(-30, 100));
        assert!(watch.look(now(-30, 100)).is_none());
        assert!(watch.earliest() >= UnixTime(START + 60));
    }

    #[test]
    fn a_jump_is_noticed_and_over_once_the_clock_is_back() {
        for (jump, doubt) in [
            (400 * DAY, Doubt::Ahead((400 * DAY).unsigned_abs())),
            (2 * 60 * 60, Doubt::Ahead(2 * 60 * 60)),
            (-10 * DAY, Doubt::Behind((10 * DAY).unsigned_abs())),
        ] {
            let mut watch = running();
            for second in [60, 120, DAY] {
                assert_eq!(watch.look(now(jump + second, 100 + second)), Some(doubt));
            }
            assert_eq!(watch.look(now(DAY + 60, 100 + DAY + 60)), None);
        }
    }

    #[test]
    fn a_short_absence_is_nothing_special_and_a_long_one_is_to_be_looked_at() {
        assert_eq!(restarted().look(now(60, 101)), None);
        assert_eq!(restarted().look(now(2 * DAY, 101)), None);
        assert!(matches!(restarted().look(now(30 * DAY, 101)), Some(Doubt::Ahead(_))));
        assert!(matches!(restarted().look(now(-2 * 60 * 60, 101)), Some(Doubt::Behind(_))));
    }

    #[test]
    fn after_a_step_or_an_absence_ages_are_not_real_for_a_while() {
        let mut watch = restarted();
        watch.look(now(10, 101));
        assert_eq!(watch.stepped_at, None);
        watch.look(now(10 + 600, 102));
        assert_eq!(watch.stepped_at, Some(102));
        let mut watch = restarted();
        watch.look(now(DAY, 101));
        assert_eq!(watch.stepped_at, Some(101));
    }

    #[test]
    fn a_clock_that_was_never_set_is_not_believed_and_setting_it_is_no_jump() {
        let unset = Now { wall: UnixTime(60), monotonic: 100 };
        for mut watch in [Watch::from_now(unset), restarted()] {
            assert!(matches!(watch.look(unset), Some(Doubt::Behind(_))));
            assert_eq!(watch.look(now(60, 110)), None);
        }
    }

    #[test]
    fn nothing_is_recorded_before_the_last_time_seen() {
        let mut watch = restarted();
        watch.look(now(-10 * DAY, 110));
        assert_eq!(watch.earliest(), UnixTime(START + 9));
        watch.look(now(20, 120));
        assert_eq!(watch.earliest(), UnixTime(START + 20));
        // A jump ahead is not a time that was seen.
        watch.look(now(400 * DAY, 130));
        assert_eq!(watch.earliest(), UnixTime(START + 29));
    }
}
