//! The state of round-robin that survives a restart.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// How many turns each storage of a cache is ahead of the one that had the fewest.
///
/// The text form, for saving, has a line `<turns> <name>` for each storage that is ahead. Names come last because they may contain
/// spaces; they contain no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Turns(BTreeMap<Arc<str>, u64>);

impl Turns {
    /// Returns the turns of the storage of this name.
    pub(super) fn of(&self, storage: &str) -> u64 {
        self.0.get(storage).copied().unwrap_or(0)
    }
}

/// From absolute turns of all storages.
impl FromIterator<(Arc<str>, u64)> for Turns {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, u64)>>(turns: I) -> Self {
        let mut turns: BTreeMap<_, _> = turns.into_iter().collect();
        let fewest = turns.values().copied().min().unwrap_or(0);
        turns.values_mut().for_each(|turns| *turns -= fewest);
        turns.retain(|_, turns| *turns > 0);
        Self(turns)
    }
}

impl fmt::Display for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, turns)| writeln!(f, "{turns} {name}"))
    }
}

impl FromStr for Turns {
    type Err = InvalidTurns;

    fn from_str(text: &str) -> Result<Self, InvalidTurns> {
        let line = |line: &str| {
            let (turns, name) = line.split_once(' ')?;
            Some((Arc::from(name), turns.parse().ok()?))
        };
        let lines: Option<_> = text.lines().map(line).collect();
        lines.map(Self).ok_or(InvalidTurns)
    }
}

/// The error for a text that is not a [`Turns`]. Starting with [`Turns::default`] instead is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid turns of round-robin: every line must be a number, a space and the name of a storage")]
pub struct InvalidTurns;
