//! Pieces of text that several of the files share.

use serde_yaml::Value;

use crate::config::keys::{About, DefaultValue, Entry, Kind};

/// The documentation of a key in Markdown.
pub fn description(about: &About) -> String {
    match about.details {
        "" => format!("{}.", about.summary),
        details => format!("{}. {details}", about.summary),
    }
}

/// The default of a key, if it is a value that the file could have.
pub fn default_value(entry: &Entry) -> Option<Value> {
    match entry.about.default {
        DefaultValue::Text(text) => Some(scalar(entry.kind, text)),
        DefaultValue::None if entry.takes_list => Some(Value::Sequence(Vec::new())),
        DefaultValue::None | DefaultValue::Derived(_) | DefaultValue::Required => None,
    }
}

/// A value as the file has it, on one line.
pub fn yaml(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_default().trim_end().to_owned()
}

/// A text of the file as the value that YAML takes it for.
fn scalar(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Bool
        | Kind::Port
        | Kind::Days
        | Kind::Count
        | Kind::Priority
        | Kind::Percentage
        | Kind::Tier => serde_yaml::from_str(text).unwrap_or(Value::Null),
        _ => text.into(),
    }
}

/// Breaks a paragraph into lines of at most `width` characters.
pub fn wrap(paragraph: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
