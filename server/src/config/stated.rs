//! What a file states explicitly, although leaving it out would mean the same.
//!
//! A truncated file reads like one that leaves things out. Where that would do damage, a reload wants the explicit
//! statement.

use std::collections::HashSet;

use super::yaml::{Content, Node};

/// What a file states.
#[derive(Debug, Clone, Default)]
pub struct Stated {
    /// That the server has no key of its own: `key: null`, `key: ""` or `key-file: null`.
    pub no_server_key: bool,
    access: HashSet<String>,
}

impl Stated {
    pub(super) fn of(file: &Node) -> Self {
        let server = find(file, "server");
        let states_none = |key| match server.and_then(|server| find(server, key)).map(|node| &node.content) {
            Some(Content::Null { written }) => *written,
            Some(Content::Scalar(text)) => text.is_empty(),
            _ => false,
        };
        let caches = match find(file, "caches").map(|caches| &caches.content) {
            Some(Content::List(caches)) => caches.as_slice(),
            _ => &[],
        };
        let name_with_access =
            |cache: &Node| match (&find(cache, "name")?.content, &find(cache, "access")?.content) {
                (Content::Scalar(name), Content::Scalar(_)) => Some(name.clone()),
                _ => None,
            };
        Self {
            no_server_key: states_none("key") || states_none("key-file"),
            access: caches.iter().filter_map(|cache| name_with_access(cache)).collect(),
        }
    }

    /// Whether the cache of this name has an `access`.
    pub fn access_of(&self, cache: &str) -> bool {
        self.access.contains(cache)
    }
}

/// The value of a key, if the node is a mapping that has it.
fn find<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.content {
        Content::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &*entry.value),
        _ => None,
    }
}
