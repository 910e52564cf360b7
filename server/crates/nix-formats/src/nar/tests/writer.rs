use std::io::ErrorKind;

use super::*;

fn in_root() -> Writer<Vec<u8>> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.enter_directory(b"").unwrap();
    writer
}

#[track_caller]
fn assert_invalid<T>(result: io::Result<T>) {
    assert_eq!(result.err().map(|e| e.kind()), Some(ErrorKind::InvalidInput));
}

#[test]
fn what_would_be_no_nar_is_refused() {
    assert_invalid(Writer::new(Vec::new()).unwrap().finish());
    assert_invalid(in_root().finish());
    assert_invalid(Writer::new(Vec::new()).unwrap().leave_directory());
    assert_invalid(Writer::new(Vec::new()).unwrap().symlink(b"a", b"x"));

    let mut two_roots = Writer::new(Vec::new()).unwrap();
    two_roots.symlink(b"", b"x").unwrap();
    assert_invalid(two_roots.symlink(b"", b"x"));

    for name in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'x'; MAX_NAME_LEN + 1]] {
        assert_invalid(in_root().symlink(name, b"x"));
    }
    for target in [&b""[..], b"a\0", &[b'x'; MAX_TARGET_LEN + 1]] {
        assert_invalid(in_root().symlink(b"a", target));
    }

    let mut unsorted = in_root();
    unsorted.file(b"b", false, 0, io::empty()).unwrap();
    assert_invalid(unsorted.enter_directory(b"a"));

    let mut deep = in_root();
    for _ in 1..MAX_DEPTH {
        deep.enter_directory(b"a").unwrap();
    }
    assert_invalid(deep.enter_directory(b"a"));
}

#[test]
fn contents_are_exactly_as_long_as_announced() {
    let error = in_root().file(b"a", false, 4, &b"abc"[..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);

    let mut writer = in_root();
    writer.file(b"a", false, 2, &b"abc"[..]).unwrap();
    writer.leave_directory().unwrap();
    let tree = Tree::from_nar(&writer.finish().unwrap()[..]).unwrap();
    assert_eq!(tree, directory([("a", file("ab"))]));
}
