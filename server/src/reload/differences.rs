//! The differences between two configurations, as lines for people.

use serde_yaml::{Mapping, Value};

use crate::config::{Config, print_config};

/// One line for each key that has another value in `after`, such as `caches.main.retention: 30 instead of 14`. Secrets are
/// never shown, nor that they differ.
pub fn between(before: &Config, after: &Config) -> Vec<String> {
    let tree = |config| serde_yaml::from_str(&print_config(config)).unwrap_or(Value::Null);
    let mut lines = Vec::new();
    compare("", &tree(before), &tree(after), &mut lines);
    lines
}

fn compare(path: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    if before == after {
        return;
    }
    if let (Some(before), Some(after)) = (entries(before), entries(after)) {
        for (name, value) in &before {
            let path = join(path, name);
            match after.iter().find(|(other, _)| other == name) {
                Some((_, now)) => compare(&path, value, now, lines),
                None => lines.push(format!("{path}: removed; its data stays")),
            }
        }
        let is_new = |name: &String| !before.iter().any(|(other, _)| other == name);
        lines.extend(
            after
                .iter()
                .filter(|(name, _)| is_new(name))
                .map(|(name, _)| format!("{}: new", join(path, name))),
        );
        let order = |list: &[(String, Value)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if before.len() == after.len()
            && order(&before) != order(&after)
            && after.iter().all(|(name, _)| !is_new(name))
        {
            lines.push(format!("{path}: in a different order"));
        }
        return;
    }
    lines.push(format!("{path}: {} instead of {}", shown(after), shown(before)));
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What a mapping, or a list of things with names, consists of.
fn entries(value: &Value) -> Option<Vec<(String, Value)>> {
    match value {
        Value::Mapping(mapping) => Some(
            mapping
                .iter()
                .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone())))
                .collect(),
        ),
        Value::Sequence(items) => items
            .iter()
            .map(|item| {
                let mut fields: Mapping = item.as_mapping()?.clone();
                let name = fields.remove("name")?.as_str()?.to_owned();
                Some((name, Value::Mapping(fields)))
            })
            .collect(),
        _ => None,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Sequence(items) if items.is_empty() => "none".to_owned(),
        Value::Sequence(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => serde_yaml::to_string(other).unwrap_or_default().trim().to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn differences(before: &str, after: &str) -> Vec<String> {
        let mut lines = Vec::new();
        compare(
            "",
            &serde_yaml::from_str(before).unwrap(),
            &serde_yaml::from_str(after).unwrap(),
            &mut lines,
        );
        lines
    }

    #[test]
    fn each_key_that_differs_has_a_line() {
        let before = "{server: {port: 1, log: info}, caches: [{name: a, days: 14}, {name: b, keys: []}]}";
        let after = "{server: {port: 2, log: info}, caches: [{name: b, keys: [x, y]}, {name: c, days: 1}]}";
        assert_eq!(
            differences(before, after),
            [
                "server.port: 2 instead of 1",
                "caches.a: removed; its data stays",
                "caches.b.keys: x, y instead of none",
                "caches.c: new",
            ]
        );
        assert!(differences(before, before).is_empty());
    }

    #[test]
    fn an_order_that_means_something_is_told() {
        let order = |names: &str| format!("{{storages: [{names}]}}");
        assert_eq!(
            differences(&order("{name: a}, {name: b}"), &order("{name: b}, {name: a}")),
            ["storages: in a different order"]
        );
    }
}
