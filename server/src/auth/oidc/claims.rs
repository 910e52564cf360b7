//! What every token has to say: for whom it is, from when on and until when.

use catalog::UnixTime;
use serde_json::{Map, Value};

use super::Refusal;
use super::rules::{Claims, Decision};

/// Seconds by which the clock of a provider may differ.
const SKEW: i64 = 60;

/// The types that tokens for a server like this one have. Tokens for other purposes, such as logging somebody out, have others.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// What a token whose signature was verified has proved.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The provider.
    pub provider: String,
    /// The claim `sub`.
    pub subject: String,
    /// The claims that the rules ask for.
    pub claims: Claims,
    /// What they permit.
    pub decision: Decision,
    /// What no other token of the provider has: its `jti`, else all of it.
    pub unique: String,
    /// When it ends.
    pub ends: UnixTime,
}

/// Checks the claims that are about the token itself. Returns when it ends.
pub(super) fn check(
    claims: &Map<String, Value>,
    audiences: &[String],
    now: UnixTime,
) -> Result<UnixTime, Refusal> {
    let is_wanted =
        |value: &Value| value.as_str().is_some_and(|value| audiences.iter().any(|wanted| wanted == value));
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(values)) => values.iter().any(is_wanted),
        Some(value) => is_wanted(value),
        None => false,
    };
    if !is_for_us {
        return Err(Refusal::wrong("aud", "it is for another audience"));
    }
    let ends = time(claims, "exp")?.ok_or_else(|| Refusal::wrong("exp", "it is missing"))?;
    if ends.saturating_add(SKEW) <= now.0 {
        return Err(Refusal::wrong("exp", "the token has expired"));
    }
    if time(claims, "nbf")?.is_some_and(|begins| begins.saturating_sub(SKEW) > now.0) {
        return Err(Refusal::wrong("nbf", "the token is not valid yet"));
    }
    let issued = time(claims, "iat")?;
    if issued.is_some_and(|issued| issued.saturating_sub(SKEW) > now.0) {
        return Err(Refusal::wrong("iat", "the token was issued in the future"));
    }
    if issued.is_some_and(|issued| issued > ends) {
        return Err(Refusal::wrong("iat", "the token was issued after its end"));
    }
    if claims.contains_key("events") {
        return Err(Refusal::wrong("events", "the token is about an event, and for nothing else"));
    }
    Ok(UnixTime(ends))
}

/// Checks the type of a token.
pub(super) fn check_type(typ: Option<&str>) -> Result<(), Refusal> {
    match typ {
        Some(typ) if !TYPES.contains(&typ.to_ascii_lowercase().as_str()) => {
            Err(Refusal::wrong("typ", "it is a token for another purpose"))
        }
        _ => Ok(()),
    }
}

/// A time in a claim: a number of seconds, which may have a fraction.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let number = value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.is_finite() && (0.0..1e15).contains(&number)).then_some(number as i64)
    });
    match number {
        Some(number) if number >= 0 => Ok(Some(number)),
        _ => Err(Refusal::wrong(name, "it is not a time")),
    }
}
