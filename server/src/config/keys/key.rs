//! What there is to say about one key.

use super::field::Field;

/// A key of the mapping whose values are an `S`.
pub struct Key<S: 'static> {
    /// Everything but the place of its value.
    pub about: About,
    /// Where its value is kept, and how it is read and printed.
    pub field: &'static dyn Field<S>,
}

/// A key without the type of its value.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// The key as the file has it.
    pub name: &'static str,
    /// The value of a file without the key.
    pub default: DefaultValue,
    /// What becomes of a new value when a running daemon reads the file again.
    pub reload: Reload,
    /// The first sentence of the documentation, without its full stop. Stands alone in tables.
    pub summary: &'static str,
    /// The sentences after it, in Markdown. May be empty.
    pub details: &'static str,
    /// A value as the file would have it. Empty if the default is example enough.
    pub example: &'static str,
}

/// The value of a file without the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// No value: the key is optional.
    None,
    /// What this text means in the file.
    Text(&'static str),
    /// Something that the decoder works out. The phrase describes it, in Markdown.
    Derived(&'static str),
    /// There is none: a file without the key is refused.
    Required,
}

/// What becomes of a new value when a running daemon reads the file again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// It takes effect.
    Applied,
    /// The old value stays in force until the daemon restarts; the reply to the reload names the key.
    NeedsRestart,
}

impl<S> Key<S> {
    /// A key without a default that needs a restart.
    pub const fn new(name: &'static str, field: &'static dyn Field<S>) -> Self {
        let about = About {
            name,
            default: DefaultValue::None,
            reload: Reload::NeedsRestart,
            summary: "",
            details: "",
            example: "",
        };
        Self { about, field }
    }

    /// The value of a file without the key, as the file would have it.
    pub const fn default(mut self, text: &'static str) -> Self {
        self.about.default = DefaultValue::Text(text);
        self
    }

    /// Describes a default that the decoder works out.
    pub const fn derived(mut self, phrase: &'static str) -> Self {
        self.about.default = DefaultValue::Derived(phrase);
        self
    }

    /// A file without the key is refused.
    pub const fn required(mut self) -> Self {
        self.about.default = DefaultValue::Required;
        self
    }

    /// A reload puts a new value into force.
    pub const fn applied_on_reload(mut self) -> Self {
        self.about.reload = Reload::Applied;
        self
    }

    /// See [`About::summary`].
    pub const fn summary(mut self, sentence: &'static str) -> Self {
        self.about.summary = sentence;
        self
    }

    /// See [`About::details`].
    pub const fn details(mut self, markdown: &'static str) -> Self {
        self.about.details = markdown;
        self
    }

    /// See [`About::example`].
    pub const fn example(mut self, value: &'static str) -> Self {
        self.about.example = value;
        self
    }
}
