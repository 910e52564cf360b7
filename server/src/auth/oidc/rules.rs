//! What claims permit.

use std::collections::BTreeMap;
use std::time::Duration;

use catalog::{TokenCaches, TokenPermission, TokenScope};
use serde_json::{Map, Value};

use crate::config::{AccessRule, RulePermission};

/// Claims with their values, as texts. A claim may have several.
pub type Claims = BTreeMap<String, Vec<String>>;

/// What a rule permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The caches, and what is permitted on them.
    pub scope: TokenScope,
    /// How long a token lasts that is given in exchange.
    pub lifetime: Duration,
}

/// Finds the first rule that fits. The error names the claim at which the best rule fails, and what it is.
pub fn evaluate(rules: &[AccessRule], claims: &Claims) -> Result<Decision, (String, String)> {
    let mut failed: Option<(usize, (String, String))> = None;
    for rule in rules {
        let fits = |claim: &str, accepts: &dyn Fn(&str) -> bool| {
            claims.get(claim).is_some_and(|values| values.iter().any(|value| accepts(value)))
        };
        let unmet = rule
            .conditions
            .iter()
            .enumerate()
            .find(|(_, condition)| !fits(&condition.claim, &|value| condition.accepts(value)));
        let Some((met, condition)) = unmet else { return Ok(decision(rule)) };
        if failed.as_ref().is_none_or(|(most, _)| met > *most) {
            let found = match claims.get(&condition.claim) {
                Some(values) => format!("{:?} fits no pattern of a rule", shown(values)),
                None => "it is missing".to_owned(),
            };
            failed = Some((met, (condition.claim.clone(), found)));
        }
    }
    Err(failed.map_or_else(|| ("rules".to_owned(), "there are none".to_owned()), |(_, failed)| failed))
}

/// The claims that the rules ask for, as a token has them.
pub(super) fn asked_for(rules: &[AccessRule], token: &Map<String, Value>) -> Claims {
    let names = rules.iter().flat_map(|rule| &rule.conditions).map(|condition| &condition.claim);
    let mut claims = Claims::new();
    for name in names {
        let value = match name.starts_with('/') {
            true => pointed_at(token, name),
            false => token.get(name),
        };
        let values = match value {
            Some(Value::Array(values)) => values.iter().filter_map(text).collect(),
            Some(value) => text(value).into_iter().collect(),
            None => continue,
        };
        claims.insert(name.clone(), values);
    }
    claims
}

/// What a JSON pointer (RFC 6901) leads to.
fn pointed_at<'t>(token: &'t Map<String, Value>, pointer: &str) -> Option<&'t Value> {
    let (first, rest) = match pointer[1..].split_once('/') {
        Some((first, _)) => (first, &pointer[1 + first.len()..]),
        None => (&pointer[1..], ""),
    };
    token.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
}

/// A value as a text. Mappings have none.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Values for the log, not too many of them.
fn shown(values: &[String]) -> String {
    values.join(", ").chars().take(200).collect()
}

fn decision(rule: &AccessRule) -> Decision {
    let names = rule.caches.iter().map(ToString::to_string).collect();
    let permission = match rule.permission {
        RulePermission::Read => TokenPermission::Read,
        RulePermission::Write => TokenPermission::Write,
    };
    let scope = TokenScope::Caches { caches: TokenCaches::Only(names), permission };
    Decision { scope, lifetime: rule.lifetime }
}
