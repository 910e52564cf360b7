use std::io::{ErrorKind, Read};

use super::*;

/// What is at a path, with its contents read.
fn find(nar: &[u8], path: &str) -> Option<Tree> {
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match find_file(nar, &path).unwrap() {
        Found::File { size, executable, mut reader } => {
            let mut contents = Vec::new();
            reader.read_to_end(&mut contents).unwrap();
            assert_eq!(contents.len() as u64, size);
            Some(Tree::File(executable, contents))
        }
        // Its entries are not given.
        Found::Directory => Some(directory([])),
        Found::Symlink { target } => Some(Tree::Symlink(target)),
        Found::NotFound => None,
    }
}

#[test]
fn every_node_is_found() {
    let cases = [
        ("", directory([])),
        ("bin", directory([])),
        ("bin/hello", Tree::File(true, b"hi\n".into())),
        ("bin/other", Tree::Symlink(b"hello".into())),
        ("eight", file("12345678")),
        ("empty", directory([])),
        ("none", file("")),
    ];
    for (path, tree) in cases {
        assert_eq!(find(NIX_STORE_DUMP, path), Some(tree), "{path}");
    }
}

#[test]
fn a_root_that_is_no_directory_is_found_by_the_empty_path_only() {
    let nar = file("abc").to_nar();
    assert_eq!(find(&nar, ""), Some(file("abc")));
    assert_eq!(find(&nar, "a"), None);
}

#[test]
fn nothing_is_found_where_nothing_is() {
    for path in [
        "a",
        "bin/a",
        "bin/i",
        "bin/z",
        "bin/hello/x",
        "bin/other/x",
        "empty/x",
        "none/x",
        "f",
        "z",
        "bin/bin",
        "hello",
        ".",
        "..",
        "bin/../eight",
        "bin/hell",
        "bin/hello\0",
    ] {
        assert_eq!(find(NIX_STORE_DUMP, path), None, "{path}");
    }
}

#[test]
fn a_directory_of_the_same_name_elsewhere_is_not_taken() {
    let tree =
        directory([("a", at("b/c", file("wrong"))), ("b", at("c", file("right"))), ("c", file("wrong"))]);
    assert_eq!(find(&tree.to_nar(), "b/c"), Some(file("right")));
    assert_eq!(find(&tree.to_nar(), "b/b"), None);
}

#[test]
fn nothing_is_read_beyond_what_must_be() {
    // Cut off in the middle of the entry after the one looked for.
    let nar = &NIX_STORE_DUMP[..850];
    assert_eq!(find(nar, "eight"), Some(file("12345678")));
    assert_eq!(find(nar, "cat"), None);
    assert!(matches!(find_file(nar, &["none"]), Err(NarError::Truncated { .. })));
}

#[test]
fn contents_that_are_cut_off_are_an_error_and_not_a_short_file() {
    let contents = "0123456789".repeat(20_000);
    let nar = file(&contents).to_nar();
    for end in [96, 97, 65_536, 65_537, 150_000, 96 + contents.len() - 1] {
        let Found::File { mut reader, .. } = find_file(&nar[..end], &[""; 0]).unwrap() else {
            panic!("not found");
        };
        let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{end}");
        // Asking again does not turn it into a regular end.
        assert!(reader.read(&mut [0]).is_err());
    }
}

#[test]
fn contents_are_the_same_in_pieces_of_any_size() {
    let contents = "0123456789".repeat(20_000);
    let nar = directory([("a", file(&contents)), ("b", file("behind"))]).to_nar();
    for len in [1, 7, 4096, 65_535, 65_536, 1 << 20] {
        let Found::File { mut reader, .. } = find_file(&nar[..], &["a"]).unwrap() else {
            panic!("not found");
        };
        let (mut read, mut buffer) = (Vec::new(), vec![0; len]);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                n => read.extend_from_slice(&buffer[..n]),
            }
        }
        assert_eq!(read.len(), contents.len());
        assert_eq!(read, contents.as_bytes(), "{len}");
    }
}

#[test]
fn a_name_that_is_no_utf8_is_found_by_its_bytes() {
    let mut nar = directory([("netlock_X", file("certificate")), ("plain", file(""))]).to_nar();
    let at = nar.windows(9).position(|bytes| bytes == b"netlock_X").unwrap();
    nar[at + 8] = 0xb1;
    let Found::File { mut reader, .. } = find_file(&nar[..], &[b"netlock_\xb1"]).unwrap() else {
        panic!("not found");
    };
    let mut found = String::new();
    reader.read_to_string(&mut found).unwrap();
    assert_eq!(found, "certificate");
}
