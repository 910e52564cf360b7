//! Tolerant reading of mappings: faults are reported, and reading continues.

use std::path::PathBuf;
use std::rc::Rc;

use super::SecretSource;
use super::fault::{Fault, Place, Report};
use super::keys::{AnyTable, Kind};
use super::secret::Secret;
use super::wrong::{Wrong, quoted};
use super::yaml::{Content, Node};

/// A mapping of the file with the keys that it may have.
///
/// A key without a value counts as absent. Of a repeated key the first one counts, and the others are faults. Methods that
/// return `None` for a faulty value have reported it.
pub struct Section<'r> {
    node: Rc<Node>,
    place: Place,
    keys: &'static dyn AnyTable,
    /// Where to report faults that are found later.
    pub report: &'r Report,
}

impl<'r> Section<'r> {
    /// Opens the mapping that a file has to be. Anything else is reported, and reads as a mapping without keys. An empty
    /// file is a fault as well: an interrupted editor or deployment tool leaves such files behind.
    pub fn open_file(node: Rc<Node>, keys: &'static dyn AnyTable, report: &'r Report) -> Self {
        let place = Place { path: String::new(), line: Some(node.line) };
        if !matches!(node.content, Content::Map(_)) {
            let found = match &node.content {
                Content::Null { .. } => "the file has no content".to_owned(),
                other => format!("the file is {}", other.kind()),
            };
            let fault = Fault::error(&place, found);
            report.add(fault.expected(Kind::Mapping(keys).expected()));
        }
        Self { node, place: Place::default(), keys, report }.with_reported_keys()
    }

    /// Opens a mapping and reports the keys that do not belong in it. Reports anything else and returns `None`.
    fn open(node: Rc<Node>, place: Place, keys: &'static dyn AnyTable, report: &'r Report) -> Option<Self> {
        if !matches!(node.content, Content::Map(_)) {
            let fault = Fault::error(&place, format!("is {}", node.content.kind()));
            report.add(fault.expected(Kind::Mapping(keys).expected()));
            return None;
        }
        Some(Self { node, place, keys, report }.with_reported_keys())
    }

    fn with_reported_keys(self) -> Self {
        self.report_keys();
        self
    }

    fn empty(place: Place, line: usize, keys: &'static dyn AnyTable, report: &'r Report) -> Self {
        let content = Content::Null { written: false };
        Self { node: Rc::new(Node { line, content }), place, keys, report }
    }

    fn report_keys(&self) {
        let Content::Map(entries) = &self.node.content else {
            return;
        };
        for (index, entry) in entries.iter().enumerate() {
            let place = self.place.key(&entry.key, entry.line);
            let first = entries[..index].iter().find(|e| e.key == entry.key);
            if let Some(first) = first {
                let message = format!("is given twice, first in line {}", first.line);
                self.report.add(Fault::error(&place, message));
            } else if !self.keys.has(&entry.key) {
                let fault = Fault::error(&place, "unknown key");
                self.report.add(match self.keys.suggest(&entry.key) {
                    Some(suggestion) => fault.suggest(suggestion),
                    None => {
                        fault.expected(format!("one of {}", quoted(&self.keys.names().collect::<Vec<_>>())))
                    }
                });
            }
        }
    }

    /// Whether the file has this mapping, and not something else or nothing in its place.
    pub fn is_mapping(&self) -> bool {
        matches!(self.node.content, Content::Map(_))
    }

    /// Whether the value of the key is a list without entries.
    pub fn has_empty_list(&self, key: &str) -> bool {
        self.find(key).is_some_and(|node| matches!(&node.content, Content::List(items) if items.is_empty()))
    }

    /// Whether an unknown key is a misspelling of this one, and reported as that.
    pub fn is_misspelled(&self, key: &str) -> bool {
        let Content::Map(entries) = &self.node.content else {
            return false;
        };
        let unknown = entries.iter().filter(|entry| !self.keys.has(&entry.key));
        unknown.into_iter().any(|entry| self.keys.nearest(&entry.key) == Some(key))
    }

    fn find(&self, key: &str) -> Option<&Rc<Node>> {
        let Content::Map(entries) = &self.node.content else {
            return None;
        };
        let value = &entries.iter().find(|entry| entry.key == key)?.value;
        (!matches!(value.content, Content::Null { .. })).then_some(value)
    }

    /// Whether the key has a value, right or wrong.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The text under a key, valid or not.
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.find(key)?.content {
            Content::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The place of the key, or of its mapping if the key is absent.
    pub fn place(&self, key: &str) -> Place {
        let line = match &self.node.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|e| e.line),
            _ => None,
        };
        self.place.key(key, line.unwrap_or(self.node.line))
    }

    /// Whether the value of the key was reported as wrong.
    pub fn is_wrong(&self, key: &str) -> bool {
        self.report.has_error(&self.place(key))
    }

    /// Reports an error at a key.
    pub fn error(&self, key: &str, message: impl Into<String>) {
        self.report.add(Fault::error(&self.place(key), message));
    }

    /// Reports a warning at a key.
    pub fn warn(&self, key: &str, message: impl Into<String>) {
        self.report.add(Fault::warning(&self.place(key), message));
    }

    /// The value of a key, if it is there and valid.
    pub fn read<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        self.parse(self.find(key)?, &self.place(key), parse)
    }

    /// Reports a required key that is missing.
    pub fn expect(&self, key: &str) {
        if !self.has(key) && !self.is_misspelled(key) {
            self.error(key, "missing");
        }
    }

    /// The value of a required key.
    pub fn require<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        self.expect(key);
        self.read(key, parse)
    }

    /// The values of a key that takes one or a list of them.
    pub fn read_all<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Vec<T> {
        let place = self.place(key);
        match self.find(key).map(|node| (node, &node.content)) {
            None => Vec::new(),
            Some((_, Content::List(items))) => items
                .iter()
                .enumerate()
                .filter_map(|(i, item)| self.parse(item, &place.entry(i, item.line), &parse))
                .collect(),
            Some((node, _)) => self.parse(node, &place, parse).into_iter().collect(),
        }
    }

    /// The values of a key that takes one or a list of them, each a text or a mapping with these keys.
    pub fn read_texts_or_mappings<T>(
        &self,
        key: &str,
        keys: &'static dyn AnyTable,
        parse: impl Fn(&str) -> Result<T, Wrong>,
        read: impl Fn(&Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        let place = self.place(key);
        let read_one = |node: &Rc<Node>, place: Place| match &node.content {
            Content::Map(_) => read(&Self::open(Rc::clone(node), place, keys, self.report)?),
            _ => self.parse(node, &place, &parse),
        };
        match self.find(key).map(|node| (node, &node.content)) {
            None => Vec::new(),
            Some((_, Content::List(items))) => items
                .iter()
                .enumerate()
                .filter_map(|(i, item)| read_one(item, place.entry(i, item.line)))
                .collect(),
            Some((node, _)) => read_one(node, place).into_iter().collect(),
        }
    }

    /// The texts of a key that takes one or a list of them, valid or not, with their places.
    pub fn texts(&self, key: &str) -> Vec<(String, Place)> {
        let place = self.place(key);
        match self.find(key).map(|node| &node.content) {
            Some(Content::Scalar(text)) => vec![(text.clone(), place)],
            Some(Content::List(items)) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| match &item.content {
                    Content::Scalar(text) => Some((text.clone(), place.entry(index, item.line))),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The mapping under a key that may have any keys, each with one text or a list of them.
    pub fn texts_by_key(&self, key: &str) -> Vec<(String, Vec<String>)> {
        let place = self.place(key);
        let entries = match self.find(key).map(|node| &node.content) {
            None => return Vec::new(),
            Some(Content::Map(entries)) => entries,
            Some(other) => {
                let fault = Fault::error(&place, format!("is {}", other.kind()));
                self.report.add(fault.expected("a mapping"));
                return Vec::new();
            }
        };
        let mut found: Vec<(String, Vec<String>)> = Vec::new();
        for entry in entries {
            let place = place.key(&entry.key, entry.line);
            if found.iter().any(|(key, _)| *key == entry.key) {
                self.report.add(Fault::error(&place, "is given twice"));
            }
            let texts: Option<Vec<String>> = match &entry.value.content {
                Content::List(items) if !items.is_empty() => {
                    items.iter().map(|item| non_empty_text(item)).collect()
                }
                _ => non_empty_text(&entry.value).map(|text| vec![text]),
            };
            match texts {
                Some(texts) => found.push((entry.key.clone(), texts)),
                None => {
                    let fault = Fault::error(&place, "is not a text");
                    self.report.add(fault.expected("a text or a list of texts"));
                }
            }
        }
        found
    }

    /// The mapping under a key, without keys when absent.
    pub fn section(&self, key: &str, keys: &'static dyn AnyTable) -> Section<'r> {
        let place = self.place(key);
        self.find(key)
            .and_then(|node| Self::open(Rc::clone(node), place.clone(), keys, self.report))
            .unwrap_or_else(|| Self::empty(place, self.node.line, keys, self.report))
    }

    /// The same mapping once more, to look at several of its keys together. Its unknown keys are not reported again.
    pub fn section_again(&self, key: &str, keys: &'static dyn AnyTable) -> Section<'r> {
        let place = self.place(key);
        match self.find(key) {
            Some(node) => Self { node: Rc::clone(node), place, keys, report: self.report },
            None => Self::empty(place, self.node.line, keys, self.report),
        }
    }

    /// The list of mappings under a key, empty when absent.
    pub fn sections(&self, key: &str, keys: &'static dyn AnyTable) -> Vec<Section<'r>> {
        let place = self.place(key);
        let items = match self.find(key).map(|node| &node.content) {
            None => &[],
            Some(Content::List(items)) => items.as_slice(),
            Some(other) => {
                let fault = Fault::error(&place, format!("is {}", other.kind()));
                self.report.add(fault.expected("a list; each entry begins with `- `"));
                &[]
            }
        };
        let open = |(i, item): (usize, &Rc<Node>)| {
            Section::open(Rc::clone(item), place.entry(i, item.line), keys, self.report)
        };
        items.iter().enumerate().filter_map(open).collect()
    }

    /// A secret under `key`, or the file that holds it under `file_key`.
    pub fn secret(
        &self,
        key: &str,
        file_key: &str,
        parse_file: impl FnOnce(&str) -> Result<PathBuf, Wrong>,
    ) -> Option<SecretSource> {
        if self.has(key) && self.has(file_key) {
            self.error(file_key, format!("is given together with `{key}`; give only one of them"));
        }
        let file = self.read(file_key, parse_file).map(SecretSource::File);
        let inline = self.read(key, |text| match text {
            "" => Err(Wrong::because("is empty", "a secret")),
            _ => Ok(SecretSource::Inline(Secret::new(text.to_owned()))),
        });
        file.or(inline)
    }

    fn parse<T>(
        &self,
        node: &Node,
        place: &Place,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let parsed = match &node.content {
            Content::Scalar(text) => parse(text),
            other => Err(Wrong::because(format!("is {}", other.kind()), "a single value")),
        };
        parsed.map_err(|wrong| self.report.add(wrong.at(place))).ok()
    }
}

/// The text of a node that is one and not empty.
fn non_empty_text(node: &Node) -> Option<String> {
    match &node.content {
        Content::Scalar(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}
