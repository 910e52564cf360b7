//! Patterns for the names of paths.

/// Whether a name matches a pattern in which `*` stands for any characters and `?` for one.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    // The last star, and the place in the name up to which it reaches: all that has to be remembered to go back.
    let mut star: Option<(usize, usize)> = None;
    let (mut at, mut read) = (0, 0);
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == name[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star_at, reach)) = star else { return false };
                star = Some((star_at, reach + 1));
                at = star_at + 1;
                read = reach + 1;
            }
        }
    }
    pattern[at..].iter().all(|&wanted| wanted == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "x"),
            ("linux-*", "linux-6.12"),
            ("*-doc", "a-doc-doc"),
            ("a?c", "abc"),
            ("*b*d", "abcbd"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "x"), ("linux-*", "linux"), ("*-doc", "doc"), ("a?c", "ac"), ("abc", "abcd")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
