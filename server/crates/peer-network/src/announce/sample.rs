//! A sample of the records that this node has written, by which it notices that the network loses them.

use parking_lot::Mutex;

use super::HeldPath;

/// The number of paths in the sample.
const SIZE: usize = 8;
/// The records count as lost when one in so many of the sample is missing. A single reply may get lost as well.
const TOLERATED: usize = 4;

/// Some of the announced paths; each has the same chance to be among them.
#[derive(Default)]
pub struct Sample {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    paths: Vec<HeldPath>,
    /// The number of paths that were offered.
    offered: u64,
}

impl Sample {
    /// Takes the path into the sample, or not.
    pub fn offer(&self, path: HeldPath) {
        let mut inner = self.inner.lock();
        inner.offered += 1;
        if inner.paths.contains(&path) {
            return;
        }
        if inner.paths.len() < SIZE {
            inner.paths.push(path);
        } else if let Ok(random) = getrandom::u64()
            && let Ok(place) = usize::try_from(random % inner.offered)
            && let Some(taken) = inner.paths.get_mut(place)
        {
            *taken = path;
        }
    }

    /// Drops the paths that this node has no longer, and returns the others.
    pub fn retain(&self, holds: impl Fn(&HeldPath) -> bool) -> Vec<HeldPath> {
        let mut inner = self.inner.lock();
        inner.paths.retain(holds);
        inner.paths.clone()
    }
}

/// Whether so many missing records of a sample mean that the network loses them.
pub fn is_loss(missing: usize, sample: usize) -> bool {
    missing > 0 && missing * TOLERATED >= sample
}

#[cfg(test)]
mod tests {
    use nix_formats::StorePathHash;

    use super::*;

    #[test]
    fn a_sample_is_small_and_of_all_that_was_offered() {
        let sample = Sample::default();
        let path = |number: u8| HeldPath { cache: 1, hash: StorePathHash::from_bytes([number; 20]) };
        (0..200).for_each(|number| sample.offer(path(number)));
        let taken = sample.retain(|_| true);
        assert_eq!(taken.len(), SIZE);
        assert!(taken != (0..8).map(path).collect::<Vec<_>>(), "only the first were taken");
        assert_eq!(sample.retain(|path| *path == taken[3]), [taken[3]]);
    }

    #[test]
    fn one_missing_record_in_a_quarter_of_the_sample_is_a_loss() {
        assert!(is_loss(1, 1) && is_loss(2, 8) && is_loss(8, 8));
        assert!(!is_loss(0, 0) && !is_loss(0, 8) && !is_loss(1, 8));
    }
}
