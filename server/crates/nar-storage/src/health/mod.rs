//! The health of a storage, derived from its errors and probes.

mod monitor;

pub use monitor::HealthMonitor;

use crate::Usage;

/// The current health of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// It works.
    #[default]
    Working,
    /// It can be read, but its medium is full, whatever its `max-size`.
    MediumFull,
    /// It does not work at the moment.
    Failing,
}

impl Health {
    /// Returns the health of a working storage by the space of its medium, which is full when 95 % of it are used. A medium of
    /// unknown size has room.
    pub fn of_medium(usage: Usage) -> Self {
        if usage.total.is_some() && usage.room() == Some(0) { Self::MediumFull } else { Self::Working }
    }
}

#[cfg(test)]
mod tests;
