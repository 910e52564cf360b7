//! `config.example.yaml` is the manual: complete, and true.

use super::*;
use crate::config::{check::Reach, check::check, keys};

const EXAMPLE: &str = include_str!("../../../../config.example.yaml");

/// The example with everything said that is commented out as a default: `#key: value`, without a space.
fn with_defaults_spelled_out() -> String {
    let uncomment = |line: &str| {
        let text = line.trim_start();
        match text.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '-') => {
                format!("{}{rest}\n", &line[..line.len() - text.len()])
            }
            _ => format!("{line}\n"),
        }
    };
    EXAMPLE.lines().map(uncomment).collect()
}

#[test]
fn the_example_loads_without_a_warning() {
    let loaded = loaded(EXAMPLE);

    assert_eq!(check(&loaded, Reach::Offline), []);
    assert_eq!(loaded.config.caches[0].name.as_str(), "main");
}

#[test]
fn spelling_out_the_defaults_of_the_example_changes_nothing() {
    let scene = Scene::new();

    let plain = scene.load(EXAMPLE).unwrap().config;
    let spelled_out = with_defaults_spelled_out();
    assert!(spelled_out.contains("\n  server-port: 5000\n"));
    let loaded = scene.load(&spelled_out).unwrap();

    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config, plain);
}

#[test]
fn the_example_has_every_key() {
    let shows = |key: &str| {
        EXAMPLE.lines().any(|line| {
            let text = line.trim_start_matches([' ', '#', '-']);
            text.starts_with(&format!("{key}:")) || text.contains(&format!("# or {key}:"))
        })
    };

    for table in keys::ALL {
        for key in table.names() {
            assert!(shows(key), "{key} of {} is missing in config.example.yaml", table.title());
        }
    }
}
