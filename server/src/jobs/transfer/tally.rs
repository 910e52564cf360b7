//! What became of the paths.

use std::collections::BTreeMap;

use admin_api::SkippedPaths;

/// Paths that are named for each reason in the result. All of them are in the notes.
const EXAMPLES: usize = 5;
/// Reasons that are told apart in the result.
const REASONS: usize = 50;
/// What the rest of them is called.
const OTHER: &str = "other reasons, which the warnings name";

/// What became of a path.
#[derive(Debug)]
pub(in crate::jobs) enum Fate {
    /// It was transferred.
    Moved {
        /// Bytes of its file.
        file_bytes: u64,
        /// Bytes of its NAR.
        nar_bytes: u64,
    },
    /// It was there.
    Present,
    /// It was not asked for.
    Filtered,
    /// It cannot be transferred.
    Skipped {
        /// The path, as far as it is known.
        path: String,
        /// Why.
        reason: String,
    },
}

/// The sums.
#[derive(Debug, Default)]
pub(in crate::jobs) struct Tally {
    pub(in crate::jobs) moved: u64,
    pub(in crate::jobs) file_bytes: u64,
    pub(in crate::jobs) nar_bytes: u64,
    pub(in crate::jobs) present: u64,
    pub(in crate::jobs) filtered: u64,
    skipped: BTreeMap<String, SkippedPaths>,
}

impl Tally {
    pub(in crate::jobs) fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Moved { file_bytes, nar_bytes } => {
                self.moved += 1;
                self.file_bytes += file_bytes;
                self.nar_bytes += nar_bytes;
            }
            Fate::Present => self.present += 1,
            Fate::Filtered => self.filtered += 1,
            Fate::Skipped { path, reason } => self.skip(path, reason),
        }
    }

    fn skip(&mut self, path: String, reason: String) {
        let is_known = self.skipped.contains_key(&reason) || self.skipped.len() < REASONS;
        let reason = if is_known { reason } else { OTHER.to_owned() };
        let entry = self.skipped.entry(reason.clone()).or_insert_with(|| SkippedPaths {
            reason,
            paths: 0,
            examples: Vec::new(),
        });
        entry.paths += 1;
        if entry.examples.len() < EXAMPLES {
            entry.examples.push(path);
        }
    }

    /// Why paths were skipped, the most frequent reason first.
    pub(in crate::jobs) fn skipped(self) -> Vec<SkippedPaths> {
        let mut skipped: Vec<SkippedPaths> = self.skipped.into_values().collect();
        skipped.sort_by_key(|entry| std::cmp::Reverse(entry.paths));
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_with_some_examples_and_do_not_grow_without_end() {
        let mut tally = Tally::default();
        let skip = |path: u32, reason: String| Fate::Skipped { path: path.to_string(), reason };
        (0..8).for_each(|path| tally.add(skip(path, "common".to_owned())));
        (0..200).for_each(|path| tally.add(skip(path, format!("reason {path}"))));
        let skipped = tally.skipped();
        assert_eq!(skipped.len(), REASONS + 1);
        assert_eq!((skipped[0].reason.as_str(), skipped[0].paths), (OTHER, 200 - (REASONS as u64 - 1)));
        assert_eq!((skipped[1].paths, skipped[1].examples.len()), (8, EXAMPLES));
    }
}
