//! Whether a storage can be written to, as far as its errors and probes tell.

mod monitor;

pub use monitor::HealthMonitor;

use crate::Usage;

/// What a storage is good for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// It works.
    #[default]
    Working,
    /// It can be read, but its medium has no room, whatever its `max-size` says.
    MediumFull,
    /// It does not work for now.
    Failing,
}

impl Health {
    /// What the space of its medium makes of a storage that works: it is full when 95 % of the medium are used. A
    /// medium that does not tell has room.
    #[must_use]
    pub fn of_medium(usage: Usage) -> Self {
        if usage.total.is_some() && usage.room() == Some(0) { Self::MediumFull } else { Self::Working }
    }
}

#[cfg(test)]
mod tests;
