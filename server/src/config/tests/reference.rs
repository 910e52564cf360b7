//! What the key tables promise, and the files that are generated from them.

use std::path::Path;

use crate::config::keys::{ALL, Reload};
use crate::config::reference;

#[test]
fn the_generated_files_match_the_key_tables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");

    let outdated = reference::check(&root, &[]);
    assert!(outdated.is_empty(), "{}", outdated.join("\n"));
}

#[test]
fn every_key_is_documented_once() {
    for table in ALL {
        let names: Vec<_> = table.names().collect();
        for entry in table.entries() {
            let about = entry.about;
            let key = format!("{} of {}", about.name, table.title());
            assert_eq!(names.iter().filter(|name| **name == about.name).count(), 1, "{key}");
            assert!(!about.summary.is_empty() && !about.summary.ends_with('.'), "{key}");
            let example: serde_yaml::Value = serde_yaml::from_str(about.example).unwrap();
            assert!(about.example.is_empty() || !example.is_null(), "{key}");
        }
    }
}

#[test]
fn a_reload_changes_everything_but_parts_of_server() {
    let needs_restart = |table: &&&'static dyn crate::config::keys::AnyTable| {
        table
            .entries()
            .any(|entry| entry.kind.table().is_none() && entry.about.reload == Reload::NeedsRestart)
    };
    let titles: Vec<_> = ALL.iter().filter(needs_restart).map(|table| table.path()).collect();
    assert_eq!(titles, ["server", "server.tls", "server.log", "server.federation"]);
}
