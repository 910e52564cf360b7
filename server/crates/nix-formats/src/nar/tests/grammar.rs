use std::io::{Read, repeat};

use super::*;

fn error_of(bytes: impl AsRef<[u8]>) -> NarError {
    Tree::from_nar(bytes.as_ref()).unwrap_err()
}

/// Asserts that parsing ends in an error of this variant.
macro_rules! assert_refused {
    ($bytes:expr, $pattern:pat) => {
        let error = error_of(&$bytes);
        assert!(matches!(error, $pattern), "{error}");
    };
}

/// A directory with these entries, which are files.
fn directory_of(names: &[&[u8]]) -> Vec<u8> {
    let mut all: Vec<&[u8]> = vec![b"nix-archive-1", b"(", b"type", b"directory"];
    for name in names {
        all.extend([&b"entry"[..], b"(", b"name", name, b"node"]);
        all.extend([&b"("[..], b"type", b"regular", b"contents", b"", b")", b")"]);
    }
    all.push(b")");
    strings(&all)
}

#[test]
fn what_nix_dumps_is_read_and_written_alike() {
    assert_eq!(Tree::from_nar(NIX_STORE_DUMP).unwrap(), dumped_tree());
    assert_eq!(dumped_tree().to_nar(), NIX_STORE_DUMP);
    let summary = parse(NIX_STORE_DUMP, &mut ()).unwrap();
    assert_eq!(summary.size, NIX_STORE_DUMP.len() as u64);
}

#[test]
fn a_root_may_be_of_any_type() {
    let cases = [
        (nar("( type regular contents abc )"), file("abc")),
        (nar("( type regular executable _ contents abc )"), Tree::File(true, b"abc".into())),
        (nar("( type directory )"), directory([])),
        (nar("( type symlink target /x )"), Tree::Symlink(b"/x".into())),
    ];
    for (bytes, tree) in cases {
        assert_eq!(Tree::from_nar(&bytes[..]).unwrap(), tree);
        assert_eq!(tree.to_nar(), bytes);
    }
}

#[test]
fn a_headers_offset_is_where_the_contents_are() {
    struct Offsets(Vec<u64>);
    impl Visitor for Offsets {
        fn file(&mut self, _: &[u8], header: FileHeader) {
            self.0.push(header.offset);
        }
    }
    let mut offsets = Offsets(vec![]);
    parse(NIX_STORE_DUMP, &mut offsets).unwrap();
    // As `nix nar ls --json` gives them.
    assert_eq!(offsets.0, [400, 816, 1176]);
    assert_eq!(&NIX_STORE_DUMP[816..824], b"12345678");
}

#[test]
fn a_pair_of_visitors_sees_everything_twice() {
    let mut pair = (Builder::default(), Builder::default());
    parse(NIX_STORE_DUMP, &mut pair).unwrap();
    assert_eq!(pair.0.root, Some(dumped_tree()));
    assert_eq!(pair.1.root, Some(dumped_tree()));
}

#[test]
fn something_else_is_no_nar() {
    assert_refused!(b"", NarError::Truncated { offset: 0 });
    assert_refused!(b"\x28\xb5\x2f\xfd0123456789", NarError::Magic);
    assert_refused!([0; 64], NarError::Magic);
    assert_refused!([0xff; 64], NarError::Magic);
    assert_refused!(strings(&[b"nix-archive-2"]), NarError::Magic);
}

#[test]
fn every_truncation_is_refused() {
    for end in 0..NIX_STORE_DUMP.len() {
        let error = error_of(&NIX_STORE_DUMP[..end]);
        let NarError::Truncated { offset } = error else {
            panic!("{end}: {error}");
        };
        assert_eq!(offset, end as u64);
    }
}

#[test]
fn trailing_bytes_are_refused_however_many() {
    for extra in [1, 8, 100_000] {
        let mut bytes = NIX_STORE_DUMP.to_vec();
        let offset = bytes.len() as u64;
        bytes.resize(bytes.len() + extra, 0);
        let error = error_of(&bytes);
        assert!(matches!(error, NarError::TrailingData { offset: at } if at == offset));
    }
}

#[test]
fn padding_must_be_zero_after_keywords_names_targets_and_contents() {
    let bytes = dumped_tree().to_nar();
    // The keyword `(`, the name `bin`, the target `hello`, the contents `hi\n`.
    for text in [&b"\x01\0\0\0\0\0\0\0("[..], b"\0bin", b"\0hello", b"\0hi\n"] {
        let at = bytes.windows(text.len()).rposition(|w| w == text).unwrap() + text.len();
        let mut bytes = bytes.clone();
        assert_eq!(bytes[at], 0);
        bytes[at] = 1;
        assert_refused!(bytes, NarError::Padding { .. });
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [&b""[..], b".", b"..", b"/", b"a/b", b"../a", b"a\0", b"\0"] {
        assert_refused!(directory_of(&[name]), NarError::Name { .. });
    }
    for name in [&b"..."[..], b".a", b"..a", b"-", b" ", b"\n", b"\xff", b"\\"] {
        assert!(Tree::from_nar(&directory_of(&[name])[..]).is_ok(), "{name:?}");
    }
}

#[test]
fn entries_must_be_sorted_by_bytes_and_different() {
    for names in [[&b"b"[..], b"a"], [b"a", b"a"], [b"ab", b"a"], [b"\xff", b"a"]] {
        assert_refused!(directory_of(&names), NarError::Order { .. });
    }
    let sorted: &[&[u8]] = &[b"A", b"a", b"a.", b"aa", b"\xc3\xa9", b"\xff"];
    assert!(Tree::from_nar(&directory_of(sorted)[..]).is_ok());
}

#[test]
fn the_order_of_a_directory_starts_anew_inside_another() {
    let tree = directory([("z", directory([("a", file("")), ("b", file(""))]))]);
    assert_eq!(Tree::from_nar(&tree.to_nar()[..]).unwrap(), tree);
    // And is remembered behind it.
    let words = "( type directory entry ( name b node ( type directory \
        entry ( name z node ( type directory ) ) ) ) entry ( name a node ( type directory ) ) )";
    assert_refused!(nar(words), NarError::Order { .. });
}

#[test]
fn strings_that_the_format_does_not_have_there_are_refused() {
    for words in [
        ")",
        "( )",
        "( type )",
        "( type device )",
        "( type entry )",
        "( type regular )",
        "( type regular target abc )",
        "( type regular executable x contents abc )",
        "( type regular executable _ executable _ contents abc )",
        "( type regular contents abc executable _ )",
        "( type regular contents abc contents abc )",
        "( type symlink )",
        "( type symlink contents abc )",
        "( type symlink target abc target abc )",
        "( type directory contents abc )",
        "( type directory entry )",
        "( type directory entry ( ) )",
        "( type directory entry ( name a ) )",
        "( type directory entry ( node ( type directory ) name a ) )",
        "( type directory entry ( name a node ( type directory ) entry ( ) ) )",
        "( type directory type directory )",
        "( type a-string-that-is-longer-than-any-that-the-format-has )",
        "( Type directory )",
    ] {
        assert_refused!(nar(words), NarError::Unexpected { .. });
    }
}

#[test]
fn links_need_a_target() {
    assert_refused!(nar("( type symlink target _ )"), NarError::Target { .. });
    let words: [&[u8]; 7] = [b"nix-archive-1", b"(", b"type", b"symlink", b"target", b"a\0b", b")"];
    assert_refused!(strings(&words), NarError::Target { .. });
}

#[test]
fn names_and_targets_are_read_up_to_their_bounds() {
    let name = |len| directory_of(&[&vec![b'x'; len]]);
    assert!(Tree::from_nar(&name(MAX_NAME_LEN)[..]).is_ok());
    assert_refused!(name(MAX_NAME_LEN + 1), NarError::TooLong { max: MAX_NAME_LEN, .. });

    let target = |len| nar(&format!("( type symlink target {} )", "x".repeat(len)));
    assert!(Tree::from_nar(&target(MAX_TARGET_LEN)[..]).is_ok());
    assert_refused!(target(MAX_TARGET_LEN + 1), NarError::TooLong { max: MAX_TARGET_LEN, .. });
}

#[test]
fn a_length_near_2_to_the_64_is_refused_without_memory_for_it() {
    for len in [u64::MAX, u64::MAX - 6, 1 << 63, 1 << 40] {
        let mut name = nar("( type directory entry ( name");
        name.extend(len.to_le_bytes());
        assert_refused!(name, NarError::TooLong { .. });

        let mut contents = nar("( type regular contents");
        contents.extend(len.to_le_bytes());
        contents.extend([0; 1000]);
        assert_refused!(contents, NarError::Truncated { .. });
    }
}

#[test]
fn nesting_is_read_up_to_its_bound_without_the_threads_stack() {
    let nested = |depth: usize| {
        let open = "( type directory entry ( name a node ".repeat(depth - 1);
        let close = ") ) ".repeat(depth - 1);
        nar(&format!("{open} ( type directory ) {close}"))
    };
    assert!(parse(&nested(MAX_DEPTH)[..], &mut ()).is_ok());
    let error = parse(&nested(MAX_DEPTH + 1)[..], &mut ()).unwrap_err();
    assert!(matches!(error, NarError::TooDeep { .. }));
}

#[test]
fn large_contents_come_in_large_pieces() {
    #[derive(Default)]
    struct Pieces(u64, u64);
    impl Visitor for Pieces {
        fn contents(&mut self, chunk: &[u8]) {
            self.0 += 1;
            self.1 += chunk.len() as u64;
        }
    }
    let size = (1 << 28) + 5;
    let mut start = nar("( type regular contents");
    start.extend(u64::to_le_bytes(size));
    let end = [&[0; 3][..], &strings(&[b")"])].concat();
    let reader = start.chain(repeat(7).take(size)).chain(&end[..]);
    let mut pieces = Pieces::default();
    let summary = parse(reader, &mut pieces).unwrap();
    assert_eq!(summary.size, start.len() as u64 + size + end.len() as u64);
    assert_eq!(pieces.1, size);
    assert!(pieces.0 < 5000, "{} pieces", pieces.0);
}

#[test]
fn an_error_of_the_reader_is_handed_on() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    let error = Tree::from_nar(NIX_STORE_DUMP[..500].chain(Broken)).unwrap_err();
    assert!(matches!(&error, NarError::Io(source) if source.to_string() == "disk on fire"));
    assert_eq!(io::Error::from(error).to_string(), "disk on fire");
}
