#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;

#[test]
fn a_marker_written_by_hand_is_as_good() {
    let root = tempfile::tempdir().unwrap();
    for text in ["disk-1", "disk-1\n", " disk-1\r\n\n"] {
        fs::write(root.path().join(MARKER), text).unwrap();
        assert_eq!(find(root.path()).unwrap().as_deref(), Some("disk-1"));
        check(root.path(), "disk-1").unwrap();
    }
    let longest = "x".repeat(MAX_LEN);
    fs::write(root.path().join(MARKER), format!("{longest}\n")).unwrap();
    assert_eq!(find(root.path()).unwrap(), Some(longest));
}

#[test]
fn what_is_no_id_is_not_taken_for_one() {
    let root = tempfile::tempdir().unwrap();
    let too_long = "x".repeat(MAX_LEN + 1);
    let endless = "x".repeat(1 << 20);
    for text in [
        b"".as_slice(),
        b"\n",
        b"two words",
        b"two\nlines",
        b"\xff\0",
        too_long.as_bytes(),
        endless.as_bytes(),
    ] {
        fs::write(root.path().join(MARKER), text).unwrap();
        let error = find(root.path()).unwrap_err();
        assert!(error.to_string().contains("does not hold the id"), "{error}");
        check(root.path(), &"x".repeat(MAX_LEN)).unwrap_err();
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_to_write_where() {
    let root = tempfile::tempdir().unwrap();
    let marker = root.path().join(MARKER);
    let unmarked = check(root.path(), "disk-1").unwrap_err().to_string();
    fs::write(&marker, "disk-2").unwrap();
    let another = check(root.path(), "disk-1").unwrap_err().to_string();
    assert!(another.contains("disk-2"), "{another}");
    for text in [unmarked, another] {
        for part in [marker.to_str().unwrap(), "mounted?", "line disk-1"] {
            assert!(text.contains(part), "{part:?} in {text:?}");
        }
        assert!(!text.contains('\n'), "{text:?}");
    }
}

#[test]
fn nothing_is_marked_where_there_is_no_directory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for root in [directory.path().join("absent"), file] {
        assert_eq!(find(&root).unwrap(), None);
        assert!(check(&root, "disk-1").unwrap_err().to_string().contains("is missing"));
    }
}
