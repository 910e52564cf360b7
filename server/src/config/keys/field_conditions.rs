//! The shape of claims: a mapping with keys of its own choosing.

use serde_yaml::{Mapping, Value};

use super::field::Field;
use super::key::About;
use super::kind::Kind;
use super::lens::Lens;
use crate::config::condition::{Condition, Pattern};
use crate::config::decode::Context;
use crate::config::section::Section;

/// Claims with their patterns.
pub struct Conditions<S>(pub Lens<S, Vec<Condition>>);

impl<S> Field<S> for Conditions<S> {
    fn read(&self, about: &About, section: &Section<'_>, _: &Context<'_>, values: &mut S) -> bool {
        let Some(slot) = (self.0.get_mut)(values) else { return true };
        section.expect(about.name);
        let condition = |(claim, patterns): (String, Vec<String>)| {
            let patterns = patterns.into_iter().map(Pattern::new).collect();
            Condition { claim, patterns }
        };
        *slot = section.texts_by_key(about.name).into_iter().map(condition).collect();
        if slot.is_empty() && section.has(about.name) && !section.is_wrong(about.name) {
            section.error(about.name, "is empty, so it would fit everybody");
        } else if !slot.is_empty() && slot.iter().all(Condition::is_void) {
            section.error(about.name, "fits everybody: at least one pattern must say more than `*`");
        }
        !slot.is_empty()
    }

    fn print(&self, values: &S) -> Option<Value> {
        let conditions = (self.0.get)(values)?;
        let print = |condition: &Condition| {
            let patterns = condition.patterns.iter().map(|pattern| Value::from(pattern.to_string()));
            (Value::from(condition.claim.clone()), Value::Sequence(patterns.collect()))
        };
        Some(Value::Mapping(conditions.iter().map(print).collect::<Mapping>()))
    }

    fn apply_reload(&self, is_applied: bool, running: &mut S, wanted: &S) {
        if let (true, Some(slot), Some(value)) = (is_applied, (self.0.get_mut)(running), (self.0.get)(wanted))
        {
            slot.clone_from(value);
        }
    }

    fn kind(&self) -> Kind {
        Kind::Claims
    }
}
