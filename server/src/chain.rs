//! Errors as one line of text.

use std::error::Error;

/// Returns an error with its sources, joined by colons. Foreign errors may name a source in their own text, which is then not
/// repeated; our own never do.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let cause = inner.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = inner.source();
    }
    text
}
