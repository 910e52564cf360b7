use thiserror::Error;

use crate::{ParseHashError, StorePathError, UnknownCompression};

/// Why a text is not a narinfo. The fields are named as in the text.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum NarInfoError {
    /// A line is not `<field>: <value>` and a line feed. The last line of a text that was cut off is such a line.
    #[error("line {line} is not `<field>: <value>` with a line end")]
    Line {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A mandatory field is not there.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field that may occur once occurs again.
    #[error("field {0} occurs more than once")]
    Duplicate(&'static str),
    /// A store path is not one.
    #[error("field {field} is not a valid store path")]
    StorePath {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// A hash is not SHA-256.
    #[error("field {field} is not a valid hash")]
    Hash {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        source: ParseHashError,
    },
    /// A size is not a decimal number below 2⁶⁴, or the NAR size is 0.
    #[error("field {0} is not a valid size")]
    Size(&'static str),
    /// The compression cannot be undone here.
    #[error("field Compression is not valid")]
    Compression(#[from] UnknownCompression),
    /// A value is empty or has whitespace or control characters.
    #[error("field {0} must be one word")]
    Word(&'static str),
}
