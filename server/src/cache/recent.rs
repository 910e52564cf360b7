//! Paths that were shown a short while ago.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nix_formats::StorePathHash;

/// A path is remembered for this long, and for less than twice as long. The feed of changes is not later than that, or its
/// connection has been given up.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Remembers paths for a while: some 40 bytes for each, so a few MiB at a thousand pushes a second.
pub struct Recent {
    begun: Instant,
    current: HashSet<StorePathHash>,
    previous: HashSet<StorePathHash>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { begun: Instant::now(), current: HashSet::new(), previous: HashSet::new() }
    }
}

impl Recent {
    /// Remembers a path from now on.
    pub fn insert(&mut self, path: StorePathHash) {
        self.forget_old(Instant::now());
        self.current.insert(path);
    }

    /// Whether the path is remembered.
    pub fn contains(&mut self, path: &StorePathHash) -> bool {
        self.forget_old(Instant::now());
        self.current.contains(path) || self.previous.contains(path)
    }

    fn forget_old(&mut self, now: Instant) {
        let age = now.duration_since(self.begun);
        if age >= REMEMBERED {
            let last = std::mem::take(&mut self.current);
            self.previous = if age < 2 * REMEMBERED { last } else { HashSet::new() };
            self.begun = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_remembered_for_a_while_and_not_for_ever() {
        let path = StorePathHash::from_bytes([1; 20]);
        let mut recent = Recent::default();
        assert!(!recent.contains(&path));
        recent.insert(path);
        let begun = recent.begun;
        recent.forget_old(begun + REMEMBERED);
        assert!(recent.previous.contains(&path) && recent.contains(&path));
        recent.forget_old(begun + 2 * REMEMBERED);
        assert!(!recent.contains(&path));

        recent.insert(path);
        recent.forget_old(recent.begun + 2 * REMEMBERED);
        assert!(!recent.contains(&path));
    }
}
