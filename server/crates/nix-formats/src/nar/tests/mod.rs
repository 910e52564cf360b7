#![allow(clippy::unwrap_used)]

mod debug_info;
mod find;
mod grammar;
mod listing;
mod properties;
mod writer;

use std::collections::BTreeMap;
use std::io;

use super::*;

/// What `nix-store --dump` of Nix 2.8 made of:
///
/// ```text
/// bin/hello    executable, "hi\n"
/// bin/other    -> hello
/// eight        "12345678"
/// empty/
/// none         ""
/// ```
const NIX_STORE_DUMP: &[u8] = include_bytes!("nix-store-dump.nar");

type Entries = BTreeMap<Vec<u8>, Tree>;

/// A node of a NAR, held in memory.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Tree {
    File(bool, Vec<u8>),
    Symlink(Vec<u8>),
    Directory(Entries),
}

fn file(contents: &str) -> Tree {
    Tree::File(false, contents.into())
}

fn directory<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    let entries = entries.map(|(name, tree)| (name.into(), tree));
    Tree::Directory(entries.into())
}

/// The tree of [`NIX_STORE_DUMP`].
fn dumped_tree() -> Tree {
    let bin =
        directory([("hello", Tree::File(true, b"hi\n".into())), ("other", Tree::Symlink(b"hello".into()))]);
    directory([("bin", bin), ("eight", file("12345678")), ("empty", directory([])), ("none", file(""))])
}

/// Nests `tree` in a directory for each component of `path`.
fn at(path: &str, tree: Tree) -> Tree {
    path.rsplit('/').fold(tree, |tree, name| directory([(name, tree)]))
}

impl Tree {
    fn to_nar(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        self.write(b"", &mut writer).unwrap();
        writer.finish().unwrap()
    }

    fn write(&self, name: &[u8], writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        match self {
            Self::File(executable, contents) => {
                writer.file(name, *executable, contents.len() as u64, &contents[..])
            }
            Self::Symlink(target) => writer.symlink(name, target),
            Self::Directory(entries) => {
                writer.enter_directory(name)?;
                for (name, tree) in entries {
                    tree.write(name, writer)?;
                }
                writer.leave_directory()
            }
        }
    }

    fn from_nar(reader: impl io::Read) -> Result<Self, NarError> {
        let mut builder = Builder::default();
        parse(reader, &mut builder)?;
        Ok(builder.root.unwrap())
    }
}

/// Makes a [`Tree`] of what it sees.
#[derive(Default)]
struct Builder {
    open: Vec<(Vec<u8>, Entries)>,
    root: Option<Tree>,
    /// Announced size of the last file, to be compared with its contents.
    size: u64,
}

impl Builder {
    fn add(&mut self, name: &[u8], tree: Tree) {
        match self.open.last_mut() {
            Some((_, entries)) => assert_eq!(entries.insert(name.to_owned(), tree), None),
            None => assert_eq!(self.root.replace(tree), None),
        }
    }

    fn last(&mut self) -> &mut Tree {
        match self.open.last_mut() {
            Some((_, entries)) => entries.last_entry().unwrap().into_mut(),
            None => self.root.as_mut().unwrap(),
        }
    }
}

impl Visitor for Builder {
    fn enter_directory(&mut self, name: &[u8]) {
        self.open.push((name.to_owned(), Entries::new()));
    }

    fn leave_directory(&mut self) {
        let (name, entries) = self.open.pop().unwrap();
        self.add(&name, Tree::Directory(entries));
    }

    fn file(&mut self, name: &[u8], header: FileHeader) {
        self.size = header.size;
        self.add(name, Tree::File(header.executable, Vec::new()));
    }

    fn contents(&mut self, chunk: &[u8]) {
        assert!(!chunk.is_empty());
        let size = self.size;
        let Tree::File(_, contents) = self.last() else {
            panic!("contents of something else than a file");
        };
        contents.extend_from_slice(chunk);
        assert!(contents.len() as u64 <= size);
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) {
        self.add(name, Tree::Symlink(target.to_owned()));
    }
}

/// Strings as NAR has them, one after the other.
fn strings(strings: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for string in strings {
        bytes.extend((string.len() as u64).to_le_bytes());
        bytes.extend_from_slice(string);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

/// A NAR put together from words; `_` stands for the empty string.
fn nar(words: &str) -> Vec<u8> {
    let words = words.split_whitespace().map(|word| if word == "_" { "" } else { word }.as_bytes());
    let all: Vec<&[u8]> = [&b"nix-archive-1"[..]].into_iter().chain(words).collect();
    strings(&all)
}
