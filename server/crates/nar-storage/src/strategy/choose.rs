//! The strategies: each picks one of the storages that can take a file.

use super::Strategy;

/// A storage that can take the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Position among the slots of the ledger.
    pub(super) slot: usize,
    /// Bytes that it has or is about to get.
    pub(super) load: u64,
    /// Percentage that it should get.
    pub(super) share: u8,
    /// Turns that it had or is about to have.
    pub(super) turns: u64,
}

/// Picks one of `candidates`, which are in listed order, for a file of `size` bytes.
pub(super) fn choose(strategy: Strategy, candidates: &[Candidate], size: u64) -> Option<usize> {
    // `min_by_key` keeps the first of equals, which makes listed order the tie-break everywhere.
    let chosen = match strategy {
        Strategy::RoundRobin => candidates.iter().min_by_key(|candidate| candidate.turns),
        Strategy::InOrder => candidates.first(),
        Strategy::Split => furthest_below_share(candidates, size),
        Strategy::LeastUsed => candidates.iter().min_by_key(|candidate| candidate.load),
    };
    chosen.map(|candidate| candidate.slot)
}

/// The one that lacks the most bytes to its share of all bytes, those of the file included.
fn furthest_below_share(candidates: &[Candidate], size: u64) -> Option<&Candidate> {
    let shares: i128 = candidates.iter().map(|candidate| i128::from(candidate.share)).sum();
    let bytes =
        candidates.iter().map(|candidate| i128::from(candidate.load)).sum::<i128>() + i128::from(size);
    // `load - bytes * share / shares`, times `shares` so that nothing is rounded.
    candidates
        .iter()
        .min_by_key(|candidate| i128::from(candidate.load) * shares - bytes * i128::from(candidate.share))
}
