#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const HASH: &str = "q2vz1kyxa8spwqc6vr1y4dwfx9w0m4sh";

fn named(name: &str) -> Result<StorePath, StorePathError> {
    StorePath::new(HASH.parse().unwrap(), name)
}

#[test]
fn base_name_and_full_path_come_back() {
    let path = StorePath::from_full_path(&format!("{STORE_DIR}/{HASH}-hello-2.12.1")).unwrap();
    assert_eq!(path.hash().to_string(), HASH);
    assert_eq!(path.name(), "hello-2.12.1");
    assert_eq!(path.base_name(), format!("{HASH}-hello-2.12.1"));
    assert_eq!(path.to_full_path(), format!("/nix/store/{HASH}-hello-2.12.1"));
    assert_eq!(path.base_name().parse(), Ok(path));
}

#[test]
fn names_that_nix_allows_are_accepted() {
    let longest = "x".repeat(211);
    for name in ["a", "-", "0", "...", ".hidden", "..x", "a.-", "+-._?=", &longest] {
        assert!(named(name).is_ok(), "{name}");
    }
}

#[test]
fn names_that_nix_refuses_are_refused() {
    let too_long = "x".repeat(212);
    let cases = [
        ("", StorePathError::NameLength { actual: 0 }),
        (&too_long, StorePathError::NameLength { actual: 212 }),
        (".", StorePathError::NameDots),
        ("..", StorePathError::NameDots),
        (".-a", StorePathError::NameDots),
        ("..-a", StorePathError::NameDots),
        ("a/b", StorePathError::NameCharacter),
        ("../a", StorePathError::NameCharacter),
        ("a\nb", StorePathError::NameCharacter),
        ("a b", StorePathError::NameCharacter),
        ("a\0", StorePathError::NameCharacter),
        ("é", StorePathError::NameCharacter),
        ("a:b", StorePathError::NameCharacter),
    ];
    for (name, error) in cases {
        assert_eq!(named(name), Err(error), "{name:?}");
    }
}

#[test]
fn a_malformed_hash_or_directory_is_refused() {
    let upper = HASH.to_uppercase();
    let cases = [
        (String::new(), StorePathError::Directory),
        (format!("{HASH}-a"), StorePathError::Directory),
        (format!("/gnu/store/{HASH}-a"), StorePathError::Directory),
        (format!("/nix/storex/{HASH}-a"), StorePathError::Directory),
        (format!("/nix/store//{HASH}-a"), StorePathError::Hash),
        (format!("/nix/store/{upper}-a"), StorePathError::Hash),
        (format!("/nix/store/{}", &HASH[1..]), StorePathError::Hash),
        (format!("/nix/store/{}é-a", &HASH[1..]), StorePathError::Hash),
        (format!("/nix/store/{HASH}"), StorePathError::Dash),
        (format!("/nix/store/{HASH}a"), StorePathError::Dash),
        (format!("/nix/store/{HASH}-a/bin"), StorePathError::NameCharacter),
    ];
    for (path, error) in cases {
        assert_eq!(StorePath::from_full_path(&path), Err(error), "{path:?}");
    }
}

#[test]
fn a_hash_in_json_is_its_text() {
    let hash: StorePathHash = HASH.parse().unwrap();
    let json = format!("\"{HASH}\"");
    assert_eq!(serde_json::to_string(&hash).unwrap(), json);
    assert_eq!(serde_json::from_str::<StorePathHash>(&json).unwrap(), hash);
    assert!(serde_json::from_str::<StorePathHash>("\"short\"").is_err());
    assert!(serde_json::from_str::<StorePathHash>("7").is_err());
}

fn any_path() -> impl Strategy<Value = StorePath> {
    let name = "[0-9a-zA-Z+._?=-]{1,40}".prop_filter("dots", |name| check_name(name).is_ok());
    (any::<[u8; 20]>(), name)
        .prop_map(|(hash, name)| StorePath::new(StorePathHash::from_bytes(hash), &name).unwrap())
}

proptest! {
    #[test]
    fn paths_sort_like_their_base_names(a in any_path(), b in any_path()) {
        prop_assert_eq!(a.cmp(&b), a.base_name().cmp(&b.base_name()));
    }

    #[test]
    fn any_path_comes_back_from_its_text(path in any_path()) {
        prop_assert_eq!(StorePath::from_full_path(&path.to_full_path()), Ok(path));
    }

    #[test]
    fn any_text_is_refused_or_comes_back(text: String) {
        if let Ok(path) = StorePath::from_base_name(&text) {
            prop_assert_eq!(path.base_name(), text);
        }
    }
}
