#![allow(clippy::unwrap_used)]

use super::*;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn to_sync(directories: &Directories, text: &str) -> Vec<String> {
    let paths = directories.to_sync(&key(text));
    paths
        .iter()
        .map(|path| path.strip_prefix(&directories.root).unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_name_is_durable_once_every_directory_above_it_is() {
    let directories = Directories::new("/disk".into());
    assert_eq!(to_sync(&directories, "x.narinfo"), [""]);
    assert_eq!(to_sync(&directories, "nar/x"), ["nar", ""]);
    assert_eq!(to_sync(&directories, "a/b/c"), ["a/b", "a", ""]);
}

#[test]
fn directories_below_the_root_are_synced_into_it_once() {
    let directories = Directories::new("/disk".into());
    directories.synced(&key("x.narinfo"));
    directories.synced(&key("nar/x"));
    directories.synced(&key("a/b/c"));
    assert_eq!(to_sync(&directories, "x.narinfo"), [""]);
    assert_eq!(to_sync(&directories, "nar/y"), ["nar"]);
    assert_eq!(to_sync(&directories, "a/b/d"), ["a/b", "a"]);
}

#[test]
fn a_directory_that_had_to_be_created_again_is_synced_again() {
    let root = tempfile::tempdir().unwrap();
    let directories = Directories::new(root.path().to_owned());
    let key = key("a/b/c");
    directories.create_above(&key).unwrap();
    directories.synced(&key);
    assert_eq!(to_sync(&directories, "a/b/c"), ["a/b", "a"]);
    fs::remove_dir_all(root.path().join("a")).unwrap();
    directories.create_above(&key).unwrap();
    assert_eq!(to_sync(&directories, "a/b/c"), ["a/b", "a", ""]);
    assert!(root.path().join("a/b").is_dir());
}

#[test]
fn a_missing_root_is_not_created() {
    let root = tempfile::tempdir().unwrap();
    let directories = Directories::new(root.path().join("gone"));
    assert_eq!(directories.create_above(&key("nar/x")).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(!root.path().join("gone").exists());
}
