//! Which key a person meant by one that is unknown.

use super::ALL;
use super::table::AnyTable;

impl dyn AnyTable {
    /// The key of this mapping that a person meant by one that it does not have.
    pub fn nearest(&self, key: &str) -> Option<&'static str> {
        nearest(key, self.names())
    }

    /// What a person should write who wrote `key`, which is not a key of this mapping.
    pub fn suggest(&self, key: &str) -> Option<String> {
        if let Some(meant) = self.nearest(key) {
            return Some(format!("did you mean `{meant}`?"));
        }
        let elsewhere = ALL.into_iter().find(|other| other.has(key))?;
        Some(format!("it belongs in {}", elsewhere.title()))
    }
}

/// The candidate that a person most likely meant by `word`, if one is near enough.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = canonical(word);
    let length = word.chars().count();
    // A third of the word may be wrong; of a short one a letter, but not all of it.
    let bound = (length / 3).max(1).min(length.saturating_sub(1));
    let near = candidates.filter_map(|candidate| {
        let distance = strsim::damerau_levenshtein(&word, &canonical(candidate));
        (distance <= bound).then_some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Keys have both separators, so a mix-up of the two counts as no distance.
fn canonical(word: &str) -> String {
    word.to_lowercase().replace('_', "-")
}
