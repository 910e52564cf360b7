//! Names that people choose, with the grammar that each has.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Why a text is not a name, as what can be said of it: "is empty".
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NameError(&'static str);

/// Name of a cache: 1 to 63 characters of `a-z`, `0-9` and `-`, with a letter or digit at both ends.
///
/// That is the grammar of a DNS label (RFC 1123) in lower case, because a cache is reachable as `NAME.HOST`.
/// `Default` is empty, and stands for a name that is still to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheName(String);

impl CacheName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The valid name that is nearest to `text`, to propose to a person.
    pub(super) fn nearest(text: &str) -> Option<Self> {
        let spelled: String = text
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(63)
            .collect();
        spelled.trim_matches('-').parse().ok()
    }
}

impl FromStr for CacheName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let ends = [text.bytes().next(), text.bytes().next_back()];
        if text.len() > 63 {
            Err(NameError("is longer than 63 characters"))
        } else if !text.bytes().all(|c| alphanumeric(c) || c == b'-') {
            Err(NameError("has characters other than a-z, 0-9 and `-`"))
        } else if !ends.into_iter().all(|end| end.is_some_and(alphanumeric)) {
            Err(NameError("does not begin and end with a letter or digit"))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for CacheName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of a storage, workspace or agent: 1 to 100 characters, none of them a slash or a control character, and no
/// white space at the ends. Such a name is a URL path segment and a table cell, never a file name.
/// `Default` is empty, and stands for a name that is still to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            Err(NameError("is empty"))
        } else if text.chars().count() > 100 {
            Err(NameError("is longer than 100 characters"))
        } else if text.chars().any(|c| c == '/' || c.is_control()) {
            Err(NameError("has a slash or a control character"))
        } else if text.trim() != text {
            Err(NameError("begins or ends with white space"))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
