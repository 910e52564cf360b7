#![allow(clippy::unwrap_used)]

use std::path::{Component, Path};

use proptest::prelude::*;

use super::*;

#[test]
fn the_names_of_a_binary_cache_are_keys() {
    for text in [
        "nix-cache-info",
        "00bgd045z0d4icpbc2yyz4gx48ak44la.narinfo",
        "nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.zst",
        "realisations/sha256:ba7816bf!out.doi",
        "log/00bgd045z0d4icpbc2yyz4gx48ak44la-a+b_c?=1.drv",
    ] {
        assert_eq!(Key::new(text).unwrap().as_str(), text);
    }
}

#[test]
fn names_that_could_leave_the_storage_or_reach_its_spool_are_refused() {
    let too_long = "a/".repeat(256) + "b";
    let long_component = "a".repeat(256);
    for (text, error) in [
        ("", InvalidKey::Length),
        (too_long.as_str(), InvalidKey::Length),
        (long_component.as_str(), InvalidKey::Component),
        ("/etc/passwd", InvalidKey::Component),
        ("nar/", InvalidKey::Component),
        ("nar//x", InvalidKey::Component),
        ("nar/../../x", InvalidKey::Component),
        ("./x", InvalidKey::Component),
        (".spool/x", InvalidKey::Component),
        ("nar/x\0y", InvalidKey::Character),
        ("nar/x y", InvalidKey::Character),
        ("nar/x\n", InvalidKey::Character),
        ("nar/é", InvalidKey::Character),
    ] {
        assert_eq!(Key::new(text).unwrap_err(), error, "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_key_joined_to_a_directory_stays_inside(text in "[a-z./]{0,24}|.{0,12}") {
        if let Ok(key) = Key::new(&text) {
            let path = Path::new(key.as_str());
            prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
            prop_assert_eq!(path.components().count(), text.split('/').count());
        }
    }
}
