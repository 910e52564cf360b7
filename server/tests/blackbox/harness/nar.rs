//! Makes NARs from the format's definition, so that the daemon's own reader meets a writer it does not know.

use std::collections::BTreeMap;

/// A file system object, as a NAR holds it.
#[derive(Clone, Debug)]
pub enum Node {
    File { executable: bool, contents: Vec<u8> },
    Symlink(String),
    Directory(BTreeMap<String, Node>),
}

impl Node {
    pub fn file(contents: impl Into<Vec<u8>>) -> Self {
        Node::File { executable: false, contents: contents.into() }
    }

    pub fn program(contents: impl Into<Vec<u8>>) -> Self {
        Node::File { executable: true, contents: contents.into() }
    }

    pub fn symlink(target: &str) -> Self {
        Node::Symlink(target.to_owned())
    }

    pub fn directory<const N: usize>(entries: [(&str, Node); N]) -> Self {
        Node::Directory(entries.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
    }

    pub fn to_nar(&self) -> Vec<u8> {
        let mut nar = Vec::new();
        put(&mut nar, b"nix-archive-1");
        self.write(&mut nar);
        nar
    }

    fn write(&self, nar: &mut Vec<u8>) {
        put(nar, b"(");
        put(nar, b"type");
        match self {
            Node::File { executable, contents } => {
                put(nar, b"regular");
                if *executable {
                    put(nar, b"executable");
                    put(nar, b"");
                }
                put(nar, b"contents");
                put(nar, contents);
            }
            Node::Symlink(target) => {
                put(nar, b"symlink");
                put(nar, b"target");
                put(nar, target.as_bytes());
            }
            Node::Directory(entries) => {
                put(nar, b"directory");
                for (name, node) in entries {
                    put(nar, b"entry");
                    put(nar, b"(");
                    put(nar, b"name");
                    put(nar, name.as_bytes());
                    put(nar, b"node");
                    node.write(nar);
                    put(nar, b")");
                }
            }
        }
        put(nar, b")");
    }
}

/// A string: its length in eight bytes, itself, and zeros up to a multiple of eight.
pub fn put(nar: &mut Vec<u8>, text: &[u8]) {
    nar.extend_from_slice(&(text.len() as u64).to_le_bytes());
    nar.extend_from_slice(text);
    nar.resize(nar.len().next_multiple_of(8), 0);
}
