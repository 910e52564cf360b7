//! Path patterns such as `/multipart-nar/{id}/part/{number}`.
//!
//! | piece | matches |
//! |---|---|
//! | `text` | this segment |
//! | `{name}` | any segment but an empty one |
//! | `{name}.suffix` | a segment with this suffix and something in front of it |
//! | `{name..}` | the rest of the path, which may be empty; only at the end |
//!
//! A path may end with one slash more than its pattern.

/// Most parameters of a pattern.
pub const MOST_PARAMETERS: usize = 3;

/// What stands in a path for the parameters of its pattern, in their order; empty texts behind the last.
pub type Values<'p> = [&'p str; MOST_PARAMETERS];

/// A path pattern.
pub struct Pattern {
    pieces: Vec<Piece>,
    takes_rest: bool,
}

enum Piece {
    Literal(&'static str),
    Parameter { suffix: &'static str },
}

impl Pattern {
    /// Parses a pattern. `None` if it is malformed or has too many parameters.
    pub fn parse(text: &'static str) -> Option<Self> {
        let mut pattern = Self { pieces: Vec::new(), takes_rest: false };
        let path = text.strip_prefix('/')?;
        for piece in path.split('/').filter(|_| !path.is_empty()) {
            if pattern.takes_rest {
                return None;
            }
            match piece.strip_prefix('{').map(|parameter| parameter.split_once('}')) {
                None if piece.is_empty() || piece.contains(['{', '}']) => return None,
                None => pattern.pieces.push(Piece::Literal(piece)),
                Some(Some((name, ""))) if name.ends_with("..") => pattern.takes_rest = true,
                Some(Some((_, suffix))) => pattern.pieces.push(Piece::Parameter { suffix }),
                Some(None) => return None,
            }
        }
        (pattern.parameters() <= MOST_PARAMETERS).then_some(pattern)
    }

    /// How many parameters there are.
    pub fn parameters(&self) -> usize {
        let named = self.pieces.iter().filter(|piece| matches!(piece, Piece::Parameter { .. })).count();
        named + usize::from(self.takes_rest)
    }

    /// Matches a path, given without the slash that it begins with.
    pub fn find<'p>(&self, path: &'p str) -> Option<Values<'p>> {
        let mut values = [""; MOST_PARAMETERS];
        let mut next = values.iter_mut();
        let mut rest = path;
        for piece in &self.pieces {
            let (segment, behind) = rest.split_once('/').unwrap_or((rest, ""));
            rest = behind;
            match piece {
                Piece::Literal(text) if segment == *text => {}
                Piece::Literal(_) => return None,
                Piece::Parameter { suffix } => {
                    *next.next()? = segment.strip_suffix(suffix).filter(|value| !value.is_empty())?;
                }
            }
        }
        if self.takes_rest {
            *next.next()? = rest;
        } else if !rest.is_empty() {
            return None;
        }
        Some(values)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn find(pattern: &'static str, path: &'static str) -> Option<Values<'static>> {
        Pattern::parse(pattern).unwrap().find(path)
    }

    #[test]
    fn a_path_matches_piece_by_piece() {
        assert_eq!(find("/", ""), Some(["", "", ""]));
        assert_eq!(find("/", "a"), None);
        assert_eq!(find("/a", "a"), Some(["", "", ""]));
        assert_eq!(find("/a", "b"), None);
        assert_eq!(find("/a/{x}/b/{y}", "a/1/b/2"), Some(["1", "2", ""]));
        assert_eq!(find("/a/{x}/b/{y}", "a/1/b"), None);
        assert_eq!(find("/a/{x}", "a/"), None);
        assert_eq!(find("/{x}.ls", "1.ls"), Some(["1", "", ""]));
        assert_eq!(find("/{x}.ls", ".ls"), None);
        assert_eq!(find("/{x}.ls", "1.narinfo"), None);
        assert_eq!(find("/a/{x}/{y..}", "a/1/2//3/"), Some(["1", "2//3/", ""]));
        assert_eq!(find("/a/{x}/{y..}", "a/1"), Some(["1", "", ""]));
    }

    #[test]
    fn one_slash_at_the_end_of_a_path_is_ignored() {
        assert_eq!(find("/a/{x}", "a/1/"), Some(["1", "", ""]));
        assert_eq!(find("/a/{x}", "a/1//"), None);
        assert_eq!(find("/a", "/a"), None);
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for text in ["", "a", "//", "/a/", "/{x", "/a{x}", "/{x..}/a", "/{w}/{x}/{y}/{z}"] {
            assert!(Pattern::parse(text).is_none(), "{text}");
        }
    }
}
