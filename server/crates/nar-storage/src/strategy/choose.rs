//! The strategies: each picks one of the storages that can accept a file.

use super::Strategy;

/// A storage that can accept the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// The position among the slots of the ledger.
    pub(super) slot: usize,
    /// The load in bytes.
    pub(super) load: u64,
    /// The percentage that it should get.
    pub(super) share: u8,
    /// The turns taken, including open reservations.
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

/// Returns the candidate furthest below its share of all bytes, including those of the file.
fn furthest_below_share(candidates: &[Candidate], size: u64) -> Option<&Candidate> {
    let shares: i128 = candidates.iter().map(|candidate| i128::from(candidate.share)).sum();
    let bytes =
        candidates.iter().map(|candidate| i128::from(candidate.load)).sum::<i128>() + i128::from(size);
    // `load - bytes * share / shares`, times `shares` so that nothing is rounded.
    candidates
        .iter()
        .min_by_key(|candidate| i128::from(candidate.load) * shares - bytes * i128::from(candidate.share))
}
