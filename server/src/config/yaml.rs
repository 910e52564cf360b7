//! YAML as a tree whose nodes know their lines.
//!
//! serde_yaml writes our YAML but does not read it: its values carry no lines, and it stops at the first repeated key.
//! Scalars stay text here. The reader of a key knows its type, so nobody has to know which words YAML takes for a number or
//! a boolean.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

/// Deepest nesting that is accepted. The configuration needs five levels; dropping the tree is recursive.
const MAX_DEPTH: usize = 64;

/// A node of the file.
#[derive(Debug)]
pub struct Node {
    /// Line where it begins, counted from 1.
    pub line: usize,
    /// What it is.
    pub content: Content,
}

/// The kinds of nodes.
#[derive(Debug)]
pub enum Content {
    /// No value.
    Null {
        /// Whether the file has `~` or `null`, and not just nothing after the colon.
        written: bool,
    },
    /// A text, a number, a truth value.
    Scalar(String),
    /// A sequence.
    List(Vec<Rc<Node>>),
    /// A mapping, in the order of the file, repeated keys included.
    Map(Vec<Entry>),
}

impl Content {
    /// The kind of node, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null { .. } => "empty",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Line of the key.
    pub line: usize,
    /// The value.
    pub value: Rc<Node>,
}

/// Why a text is not YAML, or not YAML that the configuration accepts.
#[derive(Debug)]
pub struct Malformed {
    /// What is wrong.
    pub message: String,
    /// Where, counted from 1.
    pub line: usize,
}

impl Malformed {
    fn new(line: usize, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { message, line }
    }
}

impl From<ScanError> for Malformed {
    fn from(error: ScanError) -> Self {
        Self::new(error.marker().line(), format!("not YAML: {}", error.info()))
    }
}

/// Reads a file of one document. A file without one is [`Content::Null`].
pub fn parse(text: &str) -> Result<Rc<Node>, Malformed> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event?;
        builder.take(event, span)?;
    }
    Ok(builder.root.unwrap_or_else(|| Rc::new(Node { line: 1, content: Content::Null { written: false } })))
}

/// What to do about a text that is not YAML, by what the parser says of it.
pub fn advice(message: &str) -> Option<&'static str> {
    let advice = [
        ("tabs disallowed", "indent with spaces"),
        (
            "found character that cannot start any token",
            "indent with spaces, and quote values that begin with such a character",
        ),
        ("parsing a block", "check that the keys of a section, and the `-` of a list, begin in one column"),
        ("illegal placement of ':'", "close the brackets and quotes above, and quote values with a `:`"),
        ("parsing a flow", "close the brackets above"),
        ("quoted scalar", "close the quotes"),
        ("mapping values are not allowed", "quote values with a `:`, and check the indentation"),
    ];
    advice.iter().find(|(said, _)| message.contains(said)).map(|(_, advice)| *advice)
}

/// Builds the tree from parser events.
#[derive(Default)]
struct Builder {
    /// Collections that have begun and not yet ended, outermost first.
    open: Vec<Open>,
    /// Nodes by anchor, for aliases.
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
}

struct Open {
    line: usize,
    anchor: usize,
    collection: Collection,
}

enum Collection {
    List(Vec<Rc<Node>>),
    Map {
        entries: Vec<Entry>,
        /// A key that waits for its value.
        key: Option<(String, usize)>,
    },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Malformed> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(line, tag.as_deref())?;
                let plain = style == ScalarStyle::Plain;
                let content = match text.as_ref() {
                    "" if plain => Content::Null { written: false },
                    "~" | "null" | "Null" | "NULL" if plain => Content::Null { written: true },
                    _ => Content::Scalar(text.into_owned()),
                };
                self.place(Rc::new(Node { line, content }), anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node =
                    node.ok_or_else(|| Malformed::new(line, "an alias inside the node that it refers to"))?;
                self.place(node, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(line, tag.as_deref())?;
                self.open(line, anchor, Collection::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(line, tag.as_deref())?;
                let collection = Collection::Map { entries: Vec::new(), key: None };
                self.open(line, anchor, collection)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Malformed::new(line, "a second YAML document; the file may have only one"))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, line: usize, anchor: usize, collection: Collection) -> Result<(), Malformed> {
        if self.open.len() == MAX_DEPTH {
            return Err(Malformed::new(line, "nested too deeply"));
        }
        self.open.push(Open { line, anchor, collection });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Malformed> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let content = match open.collection {
            Collection::List(items) => Content::List(items),
            Collection::Map { entries, .. } => Content::Map(merged(entries)?),
        };
        let line = open.line;
        self.place(Rc::new(Node { line, content }), open.anchor)
    }

    /// Puts a finished node where the file has it.
    fn place(&mut self, node: Rc<Node>, anchor: usize) -> Result<(), Malformed> {
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut().map(|open| &mut open.collection) {
            None => self.root = Some(node),
            Some(Collection::List(items)) => items.push(node),
            Some(Collection::Map { entries, key }) => match key.take() {
                Some((key, line)) => entries.push(Entry { key, line, value: node }),
                None => match &node.content {
                    Content::Scalar(text) => *key = Some((text.clone(), node.line)),
                    other => {
                        let message = format!("a key that is {}; keys are single words", other.kind());
                        return Err(Malformed::new(node.line, message));
                    }
                },
            },
        }
        Ok(())
    }
}

/// Refuses all tags but those of the core schema (`!!str`), which change nothing here. Other tags ask for processing that
/// does not happen, such as decryption.
fn refuse_tag(line: usize, tag: Option<&Tag>) -> Result<(), Malformed> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => {
            let message = format!("the tag `{}{}` is not supported", tag.handle, tag.suffix);
            Err(Malformed::new(line, message))
        }
        _ => Ok(()),
    }
}

/// Applies merge keys (`<<: *defaults`), which the original system's YAML reader knew: what they bring stands behind
/// the mapping's own keys and yields to them.
fn merged(entries: Vec<Entry>) -> Result<Vec<Entry>, Malformed> {
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.key == "<<");
    for merge in merges {
        let sources = match &merge.value.content {
            Content::List(items) => items.clone(),
            _ => vec![merge.value],
        };
        for source in sources {
            let Content::Map(brought) = &source.content else {
                let message = format!("`<<` takes a mapping, not {}", source.content.kind());
                return Err(Malformed::new(merge.line, message));
            };
            for entry in brought {
                if !own.iter().any(|known| known.key == entry.key) {
                    own.push(entry.clone());
                }
            }
        }
    }
    Ok(own)
}
