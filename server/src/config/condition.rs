//! What somebody has to prove: claims with patterns for their values.

use std::fmt;

/// A claim that has to have a value that fits one of the patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The name of the claim, or a JSON pointer that begins with a slash.
    pub claim: String,
    /// At least one.
    pub patterns: Vec<Pattern>,
}

/// A text in which `*` stands for any characters but slashes, and `**` for any at all. Nothing else has a meaning of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Condition {
    /// Whether one of the patterns fits the value.
    pub fn accepts(&self, value: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.fits(value))
    }

    /// Whether every value fits, so that nothing is proved.
    pub fn is_void(&self) -> bool {
        self.patterns.iter().any(|Pattern(text)| text.chars().all(|character| character == '*'))
    }
}

impl Pattern {
    /// The pattern with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it fits all of the value. Takes time in proportion to the product of both lengths at most.
    pub fn fits(&self, value: &str) -> bool {
        let (pattern, value) = (self.0.as_bytes(), value.as_bytes());
        // What is reached at each place of the pattern: `here[i]` if its first `i` bytes fit all that was read of the value.
        let mut here = vec![false; pattern.len() + 1];
        here[0] = true;
        skip_stars(pattern, &mut here);
        for byte in value {
            let mut next = vec![false; pattern.len() + 1];
            for at in (0..=pattern.len()).filter(|at| here[*at]) {
                // A star that ends here goes on; one that begins here takes its first byte.
                if at > 0 && pattern[at - 1] == b'*' && (*byte != b'/' || is_double(pattern, at - 1)) {
                    next[at] = true;
                }
                if pattern.get(at).is_some_and(|wanted| *wanted != b'*' && wanted == byte) {
                    next[at + 1] = true;
                }
            }
            skip_stars(pattern, &mut next);
            here = next;
        }
        here[pattern.len()]
    }
}

/// Stars may stand for nothing.
fn skip_stars(pattern: &[u8], reached: &mut [bool]) {
    for at in 0..pattern.len() {
        if reached[at] && pattern[at] == b'*' {
            reached[at + 1] = true;
        }
    }
}

/// Whether the star at this place is one of several.
fn is_double(pattern: &[u8], star: usize) -> bool {
    (star > 0 && pattern[star - 1] == b'*') || pattern.get(star + 1) == Some(&b'*')
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_texts() {
        for (pattern, fitting, others) in [
            ("acme/web", &["acme/web"][..], &["acme/web2", "acme/we", "", "ACME/web", "xacme/web"][..]),
            ("acme/*", &["acme/web", "acme/"], &["acme", "acme/web/x", "evil-acme/web", "acmex/web"]),
            ("refs/heads/**", &["refs/heads/main", "refs/heads/a/b", "refs/heads/"], &["refs/tags/x"]),
            ("**/web", &["a/web", "a/b/web"], &["web", "a/webx"]),
            ("a*b*c", &["abc", "axxbyyc", "abbc"], &["ab", "a/bc", "abcd"]),
            ("repo:acme/web:*", &["repo:acme/web:pull_request"], &["repo:acme/web:ref:refs/heads/main"]),
            ("repo:acme/web:**", &["repo:acme/web:ref:refs/heads/main"], &["repo:acme/web2:x"]),
            ("*", &["", "anything"], &["a/b"]),
            ("a.c", &["a.c"], &["abc"]),
            ("[a]?", &["[a]?"], &["a", "ab"]),
        ] {
            for value in fitting {
                assert!(Pattern::new(pattern).fits(value), "{pattern} fits {value:?}");
            }
            for value in others {
                assert!(!Pattern::new(pattern).fits(value), "{pattern} fits not {value:?}");
            }
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let pattern = Pattern::new("*a".repeat(50));
        assert!(!pattern.fits(&"a".repeat(5000).replace("aaaaa", "aaaab")));
    }

    #[test]
    fn a_condition_of_stars_proves_nothing() {
        let condition = |patterns: &[&str]| Condition {
            claim: "sub".to_owned(),
            patterns: patterns.iter().map(|pattern| Pattern::new(*pattern)).collect(),
        };
        assert!(condition(&["a", "**"]).is_void() && condition(&["*"]).is_void());
        assert!(!condition(&["a*"]).is_void());
    }
}
