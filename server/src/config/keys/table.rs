//! The keys of one mapping together.

use serde_yaml::{Mapping, Value};

use super::key::{About, Key, Reload};
use super::kind::Kind;
use crate::config::decode::Context;
use crate::config::section::Section;

/// The keys of a mapping whose values are an `S`.
pub struct Table<S: 'static> {
    /// How messages call the mapping.
    pub title: &'static str,
    /// The path of the mapping in documentation, such as `caches[].federation`. Empty for the file.
    pub path: &'static str,
    /// Its keys in the order of the documentation, by topic.
    pub topics: &'static [Topic<S>],
}

/// Keys that belong together.
pub struct Topic<S: 'static> {
    /// The heading above them.
    pub title: &'static str,
    /// The keys in the order of the documentation.
    pub keys: &'static [Key<S>],
}

/// A key with its type, for documentation.
#[derive(Clone, Copy)]
pub struct Entry {
    /// What there is to say about the key.
    pub about: &'static About,
    /// What it takes.
    pub kind: Kind,
    /// Whether it takes one such value or a list of them.
    pub takes_list: bool,
}

impl<S> Table<S> {
    fn keys(&self) -> impl Iterator<Item = &'static Key<S>> + use<S> {
        self.topics.iter().flat_map(|topic| topic.keys)
    }

    /// Reads every key of `section`, or takes its default. Returns whether the values are complete: `false` if a required
    /// key is missing or wrong, which was reported.
    pub fn read(&self, section: &Section<'_>, context: &Context<'_>, values: &mut S) -> bool {
        self.read_if(|_| true, section, context, values)
    }

    /// Reads the keys whose names `is_wanted` picks, as [`Table::read`] does.
    pub fn read_if(
        &self,
        is_wanted: impl Fn(&str) -> bool,
        section: &Section<'_>,
        context: &Context<'_>,
        values: &mut S,
    ) -> bool {
        let mut is_complete = true;
        for key in self.keys().filter(|key| is_wanted(key.about.name)) {
            is_complete &= key.field.read(&key.about, section, context, values);
        }
        is_complete
    }

    /// The values as a mapping of the file, without keys that mean nothing for them.
    pub fn print(&self, values: &S) -> Value {
        let entry = |key: &Key<S>| Some((key.about.name.into(), key.field.print(values)?));
        Value::Mapping(self.keys().filter_map(entry).collect::<Mapping>())
    }

    /// Replaces in `running` the values that a reload puts into force by those of `wanted`.
    pub fn apply_reload(&self, running: &mut S, wanted: &S) {
        for key in self.keys() {
            key.field.apply_reload(key.about.reload == Reload::Applied, running, wanted);
        }
    }
}

/// A [`Table`] without the type of its values.
pub trait AnyTable: Sync {
    /// See [`Table::title`].
    fn title(&self) -> &'static str;

    /// See [`Table::path`].
    fn path(&self) -> &'static str;

    /// The keys below the headings of their topics.
    fn topics(&self) -> Vec<(&'static str, Vec<Entry>)>;
}

impl<S> AnyTable for Table<S> {
    fn title(&self) -> &'static str {
        self.title
    }

    fn path(&self) -> &'static str {
        self.path
    }

    fn topics(&self) -> Vec<(&'static str, Vec<Entry>)> {
        let entry = |key: &'static Key<S>| Entry {
            about: &key.about,
            kind: key.field.kind(),
            takes_list: key.field.takes_list(),
        };
        self.topics.iter().map(|topic| (topic.title, topic.keys.iter().map(entry).collect())).collect()
    }
}

impl dyn AnyTable {
    /// The keys in the order of the documentation.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + use<> {
        self.topics().into_iter().flat_map(|(_, entries)| entries)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.entries().map(|entry| entry.about.name)
    }

    /// Whether the mapping has the key.
    pub fn has(&self, key: &str) -> bool {
        self.names().any(|name| name == key)
    }
}
