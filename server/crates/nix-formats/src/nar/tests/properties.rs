use std::io::Read;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..20).prop_filter("a valid name", |name| super::super::name::check(name, b"").is_ok())
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        3 => (any::<bool>(), vec(any::<u8>(), 0..40)).prop_map(|(x, bytes)| Tree::File(x, bytes)),
        1 => vec(1u8.., 1..40).prop_map(Tree::Symlink),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| btree_map(any_name(), inner, 0..6).prop_map(Tree::Directory))
}

/// Gives its bytes in pieces of these lengths, again and again, and is interrupted between them.
struct Pieces<'a> {
    bytes: &'a [u8],
    lengths: Vec<usize>,
    calls: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(2) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = self.lengths[self.calls / 2 % self.lengths.len()];
        let length = length.min(buffer.len());
        self.bytes.read(&mut buffer[..length])
    }
}

/// There is one NAR for each tree, so what is accepted must be what the tree it is taken for is written as.
fn assert_refused_or_canonical(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(tree) = Tree::from_nar(bytes) {
        prop_assert_eq!(tree.to_nar(), bytes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_tree_comes_back_from_its_nar(tree in any_tree()) {
        prop_assert_eq!(Tree::from_nar(&tree.to_nar()[..]).unwrap(), tree);
    }

    #[test]
    fn the_pieces_of_the_reader_do_not_matter(tree in any_tree(), lengths in vec(1usize..30, 1..10)) {
        let nar = tree.to_nar();
        let pieces = Pieces { bytes: &nar, lengths, calls: 0 };
        prop_assert_eq!(Tree::from_nar(pieces).unwrap(), tree);
    }

    #[test]
    fn any_truncation_is_refused(tree in any_tree(), end: prop::sample::Index) {
        let nar = tree.to_nar();
        let end = end.index(nar.len());
        let error = Tree::from_nar(&nar[..end]).unwrap_err();
        prop_assert!(matches!(error, NarError::Truncated { .. }), "{}", error);
    }

    #[test]
    fn any_changed_byte_is_refused_or_means_another_tree(
        tree in any_tree(),
        at: prop::sample::Index,
        change in 1u8..,
    ) {
        let mut nar = tree.to_nar();
        let at = at.index(nar.len());
        nar[at] ^= change;
        if let Ok(other) = Tree::from_nar(&nar[..]) {
            prop_assert_ne!(&other, &tree);
            prop_assert_eq!(other.to_nar(), nar);
        }
    }

    #[test]
    fn any_strings_are_refused_or_canonical(
        words in vec(prop::sample::select(vec![
            "nix-archive-1", "(", ")", "type", "regular", "directory", "symlink", "executable", "contents",
            "target", "entry", "name", "node", "", "a", "b",
        ]), 0..30)
    ) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        assert_refused_or_canonical(&strings(&words))?;
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
        assert_refused_or_canonical(&bytes)?;
        assert_refused_or_canonical(&[&nar("( type regular contents")[..], &bytes].concat())?;
        assert_refused_or_canonical(&[&nar("( type directory entry ( name")[..], &bytes].concat())?;
    }

    #[test]
    fn any_listing_is_json_that_has_every_entry_of_the_root(tree in any_tree()) {
        let mut listing = Listing::new(Vec::new());
        parse(&tree.to_nar()[..], &mut listing).unwrap();
        if let Ok(json) = listing.finish() {
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let entries = json["root"]["entries"].as_object().map(serde_json::Map::len);
            let expected = match &tree {
                Tree::Directory(entries) => Some(entries.len()),
                _ => None,
            };
            prop_assert_eq!(entries, expected);
        }
    }

    #[test]
    fn every_file_is_found_with_its_contents(tree in any_tree()) {
        let nar = tree.to_nar();
        for (path, contents) in files(&tree) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let Found::File { mut reader, .. } = find_file(&nar[..], &path).unwrap() else {
                return Err(TestCaseError::fail(format!("{path:?} not found")));
            };
            let mut found = Vec::new();
            reader.read_to_end(&mut found).unwrap();
            prop_assert_eq!(found, contents);
        }
    }
}

/// The files whose paths are UTF-8, as others cannot be asked for.
fn files(tree: &Tree) -> Vec<(Vec<String>, Vec<u8>)> {
    match tree {
        Tree::File(_, contents) => vec![(vec![], contents.clone())],
        Tree::Symlink(_) => vec![],
        Tree::Directory(entries) => entries
            .iter()
            .filter_map(|(name, tree)| Some((String::from_utf8(name.clone()).ok()?, tree)))
            .flat_map(|(name, tree)| {
                files(tree).into_iter().map(move |(mut path, contents)| {
                    path.insert(0, name.clone());
                    (path, contents)
                })
            })
            .collect(),
    }
}
