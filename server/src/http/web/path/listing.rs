//! Reads one place of a listing (`HASH.ls`) without keeping the rest, however large that is.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

/// What is at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// In bytes.
        size: u64,
        /// Whether it can be run.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads.
        target: String,
    },
}

/// What was found at the place that was looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What it is; `None` if there is nothing.
    pub node: Option<Node>,
    /// What is in it, by name, if it is a directory: those behind the name `after`, at most `most`.
    pub entries: Vec<(String, Node)>,
    /// Whether there is more behind them.
    pub has_more: bool,
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The names that lead to the place.
    pub path: &'a [&'a str],
    /// Where in the directory to begin.
    pub after: Option<&'a str>,
    /// The most entries to return.
    pub most: usize,
}

/// Reads a listing.
///
/// # Errors
///
/// If it is none.
pub fn look(listing: &[u8], wanted: Wanted<'_>) -> serde_json::Result<Found> {
    let mut found = Found::default();
    let mut json = serde_json::Deserializer::from_slice(listing);
    json.deserialize_map(Top { wanted, found: &mut found })?;
    json.end()?;
    Ok(found)
}

/// `{"root":NODE,"version":1}`
struct Top<'a, 'f> {
    wanted: Wanted<'a>,
    found: &'f mut Found,
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a listing")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "root" {
                let at = At { wanted: self.wanted, depth: 0, found: &mut *self.found };
                map.next_value_seed(at)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A node on the way to the place, or the place itself.
struct At<'a, 'f> {
    wanted: Wanted<'a>,
    /// How many names have led here.
    depth: usize,
    found: &'f mut Found,
}

impl<'de> DeserializeSeed<'de> for At<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for At<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a file, a directory or a link")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { wanted, depth, found } = self;
        let mut facts = Facts::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == "entries" {
                map.next_value_seed(Entries { wanted, depth, found: &mut *found })?;
            } else {
                facts.read(&key, &mut map)?;
            }
        }
        if depth == wanted.path.len() {
            found.node = facts.node();
        }
        Ok(())
    }
}

/// The entries of a directory.
struct Entries<'a, 'f> {
    wanted: Wanted<'a>,
    depth: usize,
    found: &'f mut Found,
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the entries of a directory")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { wanted, depth, found } = self;
        while let Some(name) = map.next_key::<String>()? {
            if wanted.path.get(depth) == Some(&name.as_str()) {
                map.next_value_seed(At { wanted, depth: depth + 1, found: &mut *found })?;
                continue;
            }
            let is_listed =
                depth == wanted.path.len() && wanted.after.is_none_or(|after| name.as_str() > after);
            if !is_listed {
                map.next_value::<IgnoredAny>()?;
            } else if found.entries.len() == wanted.most {
                found.has_more = true;
                map.next_value::<IgnoredAny>()?;
            } else if let Some(node) = map.next_value_seed(Brief)? {
                found.entries.push((name, node));
            }
        }
        Ok(())
    }
}

/// An entry of the directory that was looked for.
struct Brief;

impl<'de> DeserializeSeed<'de> for Brief {
    type Value = Option<Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Brief {
    type Value = Option<Node>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a file, a directory or a link")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut facts = Facts::default();
        while let Some(key) = map.next_key::<String>()? {
            facts.read(&key, &mut map)?;
        }
        Ok(facts.node())
    }
}

/// What a node says about itself.
#[derive(Default)]
struct Facts {
    kind: String,
    size: u64,
    executable: bool,
    target: String,
}

impl Facts {
    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = map.next_value()?,
            "size" => self.size = map.next_value()?,
            "executable" => self.executable = map.next_value()?,
            "target" => self.target = map.next_value()?,
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn node(self) -> Option<Node> {
        match self.kind.as_str() {
            "directory" => Some(Node::Directory),
            "regular" => Some(Node::File { size: self.size, executable: self.executable }),
            "symlink" => Some(Node::Symlink { target: self.target }),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LISTING: &str = r#"{"root":{"entries":{
        "bin":{"entries":{"hello":{"executable":true,"narOffset":400,"size":7,"type":"regular"}},"type":"directory"},
        "share":{"entries":{"a":{"narOffset":1,"size":1,"type":"regular"},"b":{"entries":{},"type":"directory"},
            "c":{"target":"../bin/hello","type":"symlink"}},"type":"directory"}
        },"type":"directory"},"version":1}"#;

    fn at(path: &[&str], after: Option<&str>, most: usize) -> Found {
        look(LISTING.as_bytes(), Wanted { path, after, most }).unwrap()
    }

    #[test]
    fn a_directory_is_listed_in_parts() {
        let root = at(&[], None, 9);
        assert_eq!(root.node, Some(Node::Directory));
        let names: Vec<_> = root.entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, root.has_more), (vec!["bin", "share"], false));
        let first = at(&["share"], None, 2);
        assert_eq!((first.entries.len(), first.has_more), (2, true));
        let rest = at(&["share"], Some("b"), 2);
        let link = Node::Symlink { target: "../bin/hello".to_owned() };
        assert_eq!((rest.entries, rest.has_more), (vec![("c".to_owned(), link)], false));
    }

    #[test]
    fn a_file_is_found_and_nothing_is_not() {
        let file = at(&["bin", "hello"], None, 9);
        assert_eq!(file.node, Some(Node::File { size: 7, executable: true }));
        assert!(file.entries.is_empty());
        for path in [&["bin", "hello", "x"][..], &["nothing"], &["share", "d"]] {
            assert_eq!(at(path, None, 9), Found::default(), "{path:?}");
        }
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for text in ["", "[]", "{\"root\":7}", "{\"root\":{}} x"] {
            assert!(look(text.as_bytes(), Wanted { path: &[], after: None, most: 9 }).is_err(), "{text}");
        }
    }
}
