//! When a storage counts as failing, and when to look whether it has come back.

use std::time::{Duration, Instant};

use super::Health;
use crate::{StorageError, Usage};

/// Until the first probe of a storage in trouble.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Between probes of a storage that has been in trouble for long. Short, as it should be back soon after a long outage.
const LONGEST_DELAY: Duration = Duration::from_secs(15);
/// Between probes of a storage that works. They find out that its medium fills up, or is gone, before an upload does.
const REGULAR_DELAY: Duration = Duration::from_secs(30);
/// How long a storage has to work after a trouble before the next one counts as its first.
const PROBATION: Duration = Duration::from_secs(60);

/// Follows one storage: takes what its operations and probes came to, and says what it is good for and when to probe it.
///
/// An error of any operation puts a storage out of use at once; only a probe brings it back. Probes back off from one
/// second to 15, and do so over a recovery that did not last: a storage that passes every probe and then fails
/// the next upload bothers ever fewer uploads.
///
/// It has no clock and no randomness of its own. `jitter` is a random byte, which makes the delay up to a quarter
/// shorter, so that storages which failed together are not probed together for ever.
#[derive(Debug, Clone)]
pub struct HealthMonitor {
    health: Health,
    since: Instant,
    next_probe: Instant,
    /// Troubles and failed probes since the storage last worked for long.
    setbacks: u32,
    last_error: Option<String>,
}

impl HealthMonitor {
    /// A storage that counts as working, and is to be probed at once.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { health: Health::Working, since: now, next_probe: now, setbacks: 0, last_error: None }
    }

    /// Takes the error of an operation. Returns the new health if that changes it.
    ///
    /// Errors that concern one object only change nothing. Neither do those of a storage that is failing already:
    /// operations which were under way when it began fail one after the other.
    pub fn failed(&mut self, error: &StorageError, now: Instant, jitter: u8) -> Option<Health> {
        let verdict = verdict(error)?;
        self.last_error = Some(error.to_string());
        match (self.health, verdict) {
            (Health::Working, trouble) => {
                self.set_back(now, jitter);
                self.change(trouble, now)
            }
            // The probe that is due anyway finds out how bad it is.
            (Health::MediumFull, Health::Failing) => self.change(Health::Failing, now),
            _ => None,
        }
    }

    /// Takes the result of a probe, with the space of the medium if it succeeded. Returns the new health if that
    /// changes it.
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
                // What a probe stumbles over is never a matter of one object.
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

    /// What the storage is good for.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health
    }

    /// Since when [`health`](HealthMonitor::health) is what it is.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// When to probe the storage next.
    #[must_use]
    pub fn next_probe(&self) -> Instant {
        self.next_probe
    }

    /// The last error that put, or kept, the storage out of use. Stays after a recovery. Not for a client's eyes.
    #[must_use]
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

    /// Puts the next probe off, for twice as long as the last time.
    fn set_back(&mut self, now: Instant, jitter: u8) {
        let delay = FIRST_DELAY.saturating_mul(1 << self.setbacks.min(16)).min(LONGEST_DELAY);
        self.setbacks = self.setbacks.saturating_add(1);
        self.next_probe = now + shortened(delay, jitter);
    }
}

/// What an error says of the storage, if it says something of more than one object.
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

/// `delay` less up to a quarter of it.
fn shortened(delay: Duration, jitter: u8) -> Duration {
    delay - delay * u32::from(jitter) / 1024
}
