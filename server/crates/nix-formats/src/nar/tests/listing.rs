use std::io::Write;

use super::*;

fn listing(nar: &[u8]) -> Result<String, ListingError> {
    let mut listing = Listing::new(Vec::new());
    parse(nar, &mut listing).unwrap();
    listing.finish().map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn a_listing_is_what_nix_writes() {
    let expected = concat!(
        r#"{"root":{"entries":{"bin":{"entries":{"#,
        r#""hello":{"executable":true,"narOffset":400,"size":3,"type":"regular"},"#,
        r#""other":{"target":"hello","type":"symlink"}},"type":"directory"},"#,
        r#""eight":{"narOffset":816,"size":8,"type":"regular"},"#,
        r#""empty":{"entries":{},"type":"directory"},"#,
        r#""none":{"narOffset":1176,"size":0,"type":"regular"}},"type":"directory"},"version":1}"#,
    );
    assert_eq!(listing(NIX_STORE_DUMP).unwrap(), expected);
}

#[test]
fn a_root_that_is_no_directory_is_listed() {
    assert_eq!(
        listing(&file("abc").to_nar()).unwrap(),
        r#"{"root":{"narOffset":96,"size":3,"type":"regular"},"version":1}"#
    );
    assert_eq!(
        listing(&Tree::Symlink(b"/a".into()).to_nar()).unwrap(),
        r#"{"root":{"target":"/a","type":"symlink"},"version":1}"#
    );
}

#[test]
fn names_and_targets_are_escaped() {
    let link = Tree::Symlink("\t\u{1}é".into());
    let json = listing(&directory([("a\"\\\n", link)]).to_nar()).unwrap();
    assert!(json.contains(r#""a\"\\\n":{"target":"\t\u0001é""#), "{json}");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["root"]["entries"]["a\"\\\n"]["target"], "\t\u{1}é");
}

#[test]
fn a_name_or_target_that_is_not_utf_8_leaves_no_listing_but_a_sound_nar() {
    let name = Tree::Directory([(b"\xff".to_vec(), file(""))].into());
    let target = directory([("a", Tree::Symlink(b"\xff".into())), ("b", file(""))]);
    for tree in [name, target] {
        assert!(matches!(listing(&tree.to_nar()), Err(ListingError::NotUtf8)));
    }
}

#[test]
fn half_a_nar_has_no_listing() {
    for end in [0, 100, 500, 1100] {
        let mut listing = Listing::new(Vec::new());
        parse(&NIX_STORE_DUMP[..end], &mut listing).unwrap_err();
        let result = listing.finish();
        assert!(matches!(result, Err(ListingError::Incomplete)), "{end}");
    }
}

#[test]
fn a_writer_that_fails_leaves_no_listing_but_a_sound_nar() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for room in 0..300 {
        let mut listing = Listing::new(Full(room));
        parse(NIX_STORE_DUMP, &mut listing).unwrap();
        assert!(matches!(listing.finish(), Err(ListingError::Io(_))), "{room}");
    }
}
