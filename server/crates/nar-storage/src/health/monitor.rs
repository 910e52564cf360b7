//! The liveness of a storage: when it counts as failing, and when to probe it.

use std::time::{Duration, Instant};

use super::Health;
use crate::{StorageError, Usage};

/// The delay before the first probe of a failing storage.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay between probes of a failing storage. Short, so that it returns soon after a long outage.
const LONGEST_DELAY: Duration = Duration::from_secs(15);
/// The delay between probes of a working storage. They detect a full or missing medium before an upload does.
const REGULAR_DELAY: Duration = Duration::from_secs(30);
/// How long a storage must work after a failure before the next one counts as its first.
const PROBATION: Duration = Duration::from_secs(60);

/// Tracks one storage: it receives the results of operations and probes, and reports the health and the time of the next probe.
///
/// An error of any operation takes a storage out of use at once; only a probe brings it back. Probes back off from one second to
/// 15, even over a short recovery: a storage that passes every probe and then fails the next upload affects ever fewer uploads.
///
/// The monitor has no clock and no randomness. `jitter` is a random byte that shortens the delay by up to a quarter, so that
/// storages that failed together are not probed together forever.
#[derive(Debug, Clone)]
pub struct HealthMonitor {
    health: Health,
    since: Instant,
    next_probe: Instant,
    /// The failures and failed probes since the storage last worked for long.
    setbacks: u32,
    last_error: Option<String>,
}

impl HealthMonitor {
    /// Creates the monitor of a storage that counts as working and is due for a probe.
    pub fn new(now: Instant) -> Self {
        Self { health: Health::Working, since: now, next_probe: now, setbacks: 0, last_error: None }
    }

    /// Records the error of an operation. Returns the new health if it changed.
    ///
    /// Errors that concern one object change nothing. Neither do errors of a storage that is already failing: operations that
    /// were running when it failed report one after the other.
    pub fn failed(&mut self, error: &StorageError, now: Instant, jitter: u8) -> Option<Health> {
        let verdict = verdict(error)?;
        self.last_error = Some(error.to_string());
        match (self.health, verdict) {
            (Health::Working, trouble) => {
                self.set_back(now, jitter);
                self.change(trouble, now)
            }
            // The probe that is due anyway finds out more.
            (Health::MediumFull, Health::Failing) => self.change(Health::Failing, now),
            _ => None,
        }
    }

    /// Records the result of a probe, with the space of the medium if it succeeded. Returns the new health if it changed.
    pub fn probed(
        &mut self,
        result: Result<Usage, &StorageError>,
        now: Instant,
        jitter: u8,
    ) -> Option<Health> {
        let found = match result {
            Ok(usage) => Health::of_medium(usage),
            Err(error) => {
                self.last_error = Some(error.to_string());
                // An error of a probe never concerns just one object.
                verdict(error).unwrap_or(Health::Failing)
            }
        };
        if found == Health::Working {
            if self.health == Health::Working && now.duration_since(self.since) >= PROBATION {
                self.setbacks = 0;
            }
            self.next_probe = now + shortened(REGULAR_DELAY, jitter);
        } else {
            self.set_back(now, jitter);
        }
        self.change(found, now)
    }

    /// Returns the health.
    pub fn health(&self) -> Health {
        self.health
    }

    /// Returns when the [`health`](HealthMonitor::health) last changed.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Returns the time of the next probe.
    pub fn next_probe(&self) -> Instant {
        self.next_probe
    }

    /// Returns the last error that took or kept the storage out of use, even after a recovery. Not for clients.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    fn change(&mut self, health: Health, now: Instant) -> Option<Health> {
        if self.health == health {
            return None;
        }
        self.health = health;
        self.since = now;
        Some(health)
    }

    /// Delays the next probe for twice as long as the last time.
    fn set_back(&mut self, now: Instant, jitter: u8) {
        let delay = FIRST_DELAY.saturating_mul(1 << self.setbacks.min(16)).min(LONGEST_DELAY);
        self.setbacks = self.setbacks.saturating_add(1);
        self.next_probe = now + shortened(delay, jitter);
    }
}

/// Returns the health that an error implies, `None` if it concerns only one object.
fn verdict(error: &StorageError) -> Option<Health> {
    match error {
        StorageError::NotFound { .. }
        | StorageError::SizeMismatch { .. }
        | StorageError::InvalidRange { .. }
        | StorageError::Unfit { .. }
        | StorageError::Spool { .. } => None,
        StorageError::Full { .. } => Some(Health::MediumFull),
        StorageError::Denied { .. } | StorageError::Unavailable { .. } | StorageError::Io { .. } => {
            Some(Health::Failing)
        }
    }
}

/// Returns `delay`, shortened by up to a quarter.
fn shortened(delay: Duration, jitter: u8) -> Duration {
    delay - delay * u32::from(jitter) / 1024
}
