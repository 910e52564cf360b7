//! The shapes of keys: one value, an optional one, several, a mapping, a list of mappings.

use serde_yaml::Value;

use super::key::{About, DefaultValue};
use super::kind::Kind;
use super::lens::Lens;
use super::table::Table;
use super::types::Type;
use crate::config::decode::Context;
use crate::config::section::Section;

/// The value of a key in settings of the type `S`: how it is read, printed and reloaded.
pub trait Field<S>: Sync {
    /// Reads the key of `section` into `values`, or its default if it is absent or wrong. Returns `false` if it is
    /// required and there is no right value.
    fn read(&self, about: &About, section: &Section<'_>, context: &Context<'_>, values: &mut S) -> bool;

    /// The value as the file would have it; `None` if the key means nothing for these values.
    fn print(&self, values: &S) -> Option<Value>;

    /// Copies the value from `wanted` to `running` if the key `is_applied` by a reload.
    fn apply_reload(&self, is_applied: bool, running: &mut S, wanted: &S);

    /// What the key takes.
    fn kind(&self) -> Kind;

    /// Whether it takes one such value or a list of them.
    fn takes_list(&self) -> bool {
        false
    }
}

/// One value that is always there: required, with a default, or derived. A derived one is set before the key is read.
pub struct One<S, T: 'static>(pub Lens<S, T>, pub Type<T>);

/// A value that may be absent.
pub struct Maybe<S, T: 'static>(pub Lens<S, Option<T>>, pub Type<T>);

/// One value, or a list of any length.
pub struct Many<S, T: 'static>(pub Lens<S, Vec<T>>, pub Type<T>);

/// A key that the decoder reads, because its value depends on other keys.
pub struct ReadByDecoder<F>(pub F);

/// A key that the decoder reads into a part of the settings that other keys are in as well. A reload replaces the settings
/// as a whole.
pub struct OnlyPrinted<S> {
    /// What the key takes.
    pub kind: Kind,
    /// See [`Field::print`].
    pub print: fn(&S) -> Option<Value>,
}

/// A mapping below this one.
pub struct Nested<S, T: 'static>(pub Lens<S, T>, pub &'static Table<T>);

/// One value or a list of any length, in which each is written as a text, or as a mapping where a text does not say enough.
pub struct TextsOrMappings<S, T: 'static> {
    /// Where the values are.
    pub lens: Lens<S, Vec<T>>,
    /// How a text is read.
    pub text: Type<T>,
    /// The keys of a mapping.
    pub table: &'static Table<T>,
    /// Reports what does not fit together in a mapping that was read.
    pub check: fn(&Section<'_>, &T),
    /// Whether a text says everything about a value.
    pub is_text: fn(&T) -> bool,
}

/// A list of mappings. The decoder reads them.
pub struct Entries<S, T: 'static>(pub Lens<S, Vec<T>>, pub &'static Table<T>);

fn copy<S, T: Clone>(lens: &Lens<S, T>, is_applied: bool, running: &mut S, wanted: &S) {
    if let (true, Some(slot), Some(value)) = (is_applied, (lens.get_mut)(running), (lens.get)(wanted)) {
        slot.clone_from(value);
    }
}

impl<S, T: Clone> Field<S> for One<S, T> {
    fn read(&self, about: &About, section: &Section<'_>, context: &Context<'_>, values: &mut S) -> bool {
        let Some(slot) = (self.0.get_mut)(values) else { return true };
        if about.default == DefaultValue::Required {
            section.expect(about.name);
        }
        let value = section.read(about.name, |text| (self.1.parse)(text, context));
        match (value, about.default) {
            (Some(value), _) => *slot = value,
            (None, DefaultValue::Required) => return false,
            (None, DefaultValue::Text(text)) => {
                *slot = (self.1.parse)(text, context).unwrap_or_else(|wrong| {
                    panic!("the default of `{}` in its table is a value of its type: {wrong:?}", about.name)
                });
            }
            (None, DefaultValue::Derived(_) | DefaultValue::None) => {}
        }
        true
    }

    fn print(&self, values: &S) -> Option<Value> {
        (self.0.get)(values).map(self.1.print)
    }

    fn apply_reload(&self, is_applied: bool, running: &mut S, wanted: &S) {
        copy(&self.0, is_applied, running, wanted);
    }

    fn kind(&self) -> Kind {
        self.1.kind
    }
}

impl<S, T: Clone> Field<S> for Maybe<S, T> {
    fn read(&self, about: &About, section: &Section<'_>, context: &Context<'_>, values: &mut S) -> bool {
        if let Some(slot) = (self.0.get_mut)(values) {
            *slot = section.read(about.name, |text| (self.1.parse)(text, context));
        }
        true
    }

    fn print(&self, values: &S) -> Option<Value> {
        (self.0.get)(values).map(|value| value.as_ref().map_or(Value::Null, self.1.print))
    }

    fn apply_reload(&self, is_applied: bool, running: &mut S, wanted: &S) {
        copy(&self.0, is_applied, running, wanted);
    }

    fn kind(&self) -> Kind {
        self.1.kind
    }
}

impl<S, T: Clone> Field<S> for Many<S, T> {
    fn read(&self, about: &About, section: &Section<'_>, context: &Context<'_>, values: &mut S) -> bool {
        if let Some(slot) = (self.0.get_mut)(values) {
            *slot = section.read_all(about.name, |text| (self.1.parse)(text, context));
        }
        true
    }

    fn print(&self, values: &S) -> Option<Value> {
        (self.0.get)(values).map(|items| Value::Sequence(items.iter().map(self.1.print).collect()))
    }

    fn apply_reload(&self, is_applied: bool, running: &mut S, wanted: &S) {
        copy(&self.0, is_applied, running, wanted);
    }

    fn kind(&self) -> Kind {
        self.1.kind
    }

    fn takes_list(&self) -> bool {
        true
    }
}

impl<S, T: Clone + Default> Field<S> for TextsOrMappings<S, T> {
    fn read(&self, about: &About, section: &Section<'_>, context: &Context<'_>, values: &mut S) -> bool {
        let Some(slot) = (self.lens.get_mut)(values) else { return true };
        let parse = |text: &str| (self.text.parse)(text, context);
        *slot = section.read_texts_or_mappings(about.name, self.table, parse, |mapping| {
            let mut value = T::default();
            let is_complete = self.table.read(mapping, context, &mut value);
            if is_complete {
                (self.check)(mapping, &value);
            }
            is_complete.then_some(value)
        });
        true
    }

    fn print(&self, values: &S) -> Option<Value> {
        let print = |value| match (self.is_text)(value) {
            true => (self.text.print)(value),
            false => self.table.print(value),
        };
        (self.lens.get)(values).map(|items| Value::Sequence(items.iter().map(print).collect()))
    }

    fn apply_reload(&self, is_applied: bool, running: &mut S, wanted: &S) {
        copy(&self.lens, is_applied, running, wanted);
    }

    fn kind(&self) -> Kind {
        Kind::UpstreamOrMapping(self.table)
    }

    fn takes_list(&self) -> bool {
        true
    }
}

impl<S, F: Field<S>> Field<S> for ReadByDecoder<F> {
    fn read(&self, _: &About, _: &Section<'_>, _: &Context<'_>, _: &mut S) -> bool {
        true
    }

    fn print(&self, values: &S) -> Option<Value> {
        self.0.print(values)
    }

    fn apply_reload(&self, is_applied: bool, running: &mut S, wanted: &S) {
        self.0.apply_reload(is_applied, running, wanted);
    }

    fn kind(&self) -> Kind {
        self.0.kind()
    }
}

impl<S> Field<S> for OnlyPrinted<S> {
    fn read(&self, _: &About, _: &Section<'_>, _: &Context<'_>, _: &mut S) -> bool {
        true
    }

    fn print(&self, values: &S) -> Option<Value> {
        (self.print)(values)
    }

    fn apply_reload(&self, _: bool, _: &mut S, _: &S) {}

    fn kind(&self) -> Kind {
        self.kind
    }
}

impl<S, T> Field<S> for Nested<S, T> {
    fn read(&self, about: &About, section: &Section<'_>, context: &Context<'_>, values: &mut S) -> bool {
        let Some(slot) = (self.0.get_mut)(values) else { return true };
        self.1.read(&section.section(about.name, self.1), context, slot)
    }

    fn print(&self, values: &S) -> Option<Value> {
        (self.0.get)(values).map(|values| self.1.print(values))
    }

    /// Its keys have a class each.
    fn apply_reload(&self, _: bool, running: &mut S, wanted: &S) {
        if let (Some(running), Some(wanted)) = ((self.0.get_mut)(running), (self.0.get)(wanted)) {
            self.1.apply_reload(running, wanted);
        }
    }

    fn kind(&self) -> Kind {
        Kind::Mapping(self.1)
    }
}

impl<S, T: Clone> Field<S> for Entries<S, T> {
    fn read(&self, _: &About, _: &Section<'_>, _: &Context<'_>, _: &mut S) -> bool {
        true
    }

    fn print(&self, values: &S) -> Option<Value> {
        let print = |entries: &Vec<T>| entries.iter().map(|entry| self.1.print(entry)).collect();
        (self.0.get)(values).map(|entries| Value::Sequence(print(entries)))
    }

    fn apply_reload(&self, is_applied: bool, running: &mut S, wanted: &S) {
        copy(&self.0, is_applied, running, wanted);
    }

    fn kind(&self) -> Kind {
        Kind::Entries(self.1)
    }
}
