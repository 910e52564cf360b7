//! What to say about a name that nothing has. Both ends say it, in the same words.

use crate::{ApiError, ErrorCode};

impl ApiError {
    /// The failure for a `name` that no `noun`, such as `cache`, has. The hint names the one of the `existing` that was most
    /// likely meant, or else the command that lists them: `cachectl NOUN list`.
    pub fn unknown<'a>(noun: &str, name: &str, existing: impl IntoIterator<Item = &'a str>) -> Self {
        let hint = match nearest(name, existing) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("`cachectl {noun} list` shows the {noun}s"),
        };
        Self {
            code: ErrorCode::NotFound,
            message: format!("there is no {noun} called `{name}`"),
            hint: Some(hint),
        }
    }
}

/// Returns the candidate that a person most likely meant by `word`, if one is near enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = canonical(word);
    let length = word.chars().count();
    // A third of the word may be wrong; of a short one a letter, but not all of it.
    let bound = (length / 3).max(1).min(length.saturating_sub(1));
    let near = candidates.into_iter().filter_map(|candidate| {
        let distance = strsim::damerau_levenshtein(&word, &canonical(candidate));
        (distance <= bound).then_some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Names have both separators, so a mix-up of the two counts as no distance.
fn canonical(word: &str) -> String {
    word.to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_suggested_and_another_one_is_not() {
        for (typed, meant) in
            [("mian", Some("main")), ("Main", Some("main")), ("web_1", Some("web-1")), ("x", None)]
        {
            assert_eq!(nearest(typed, ["main", "internal", "web-1"]), meant, "{typed}");
        }
        let hint = |name| ApiError::unknown("cache", name, ["main"]).hint.unwrap_or_default();
        assert_eq!(hint("mian"), "did you mean `main`?");
        assert_eq!(hint("other"), "`cachectl cache list` shows the caches");
    }
}
