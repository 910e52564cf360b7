//! Requests as they travel. Encoding and decoding stand side by side so that they stay inverse to each other.

use std::fmt::{Display, Write as _};

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::Endpoint;

/// The characters that are percent-encoded in a path or a query. A dot is among them although URLs allow it, because
/// `..` would be a step up.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// An encoded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The path, and the query if there is one: the request target of HTTP.
    pub target: String,
    /// The body; empty for a `GET` request and for a request whose fields are all in the path.
    pub body: Vec<u8>,
}

/// Encodes a request. The method is [`Endpoint::METHOD`].
///
/// # Panics
///
/// If [`Endpoint::PATH`] names a field that the request does not have or that is no string, or if a query field is
/// neither a scalar nor absent. No value of a field matters to this, so a test of each request type rules it out.
pub fn encode<E: Endpoint>(request: &E) -> Encoded {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(request) else {
        panic!("a request serializes to a JSON object");
    };
    let mut target = String::new();
    for part in E::PATH.split('/').skip(1) {
        target.push('/');
        match parameter(part) {
            None => target.push_str(part),
            Some(name) => {
                let Some(Value::String(value)) = fields.remove(name) else {
                    panic!("{name} in {} is a string field of the request", E::PATH);
                };
                push(&mut target, percent_encode(&value));
            }
        }
    }
    if E::METHOD == Method::GET {
        push_query(&mut target, fields);
        return Encoded { target, body: Vec::new() };
    }
    // A request without a body is one that `curl -X POST` can send as well.
    let body = if fields.is_empty() { Vec::new() } else { Value::Object(fields).to_string().into_bytes() };
    Encoded { target, body }
}

/// Appends the fields that have a value, as `application/x-www-form-urlencoded`.
fn push_query(target: &mut String, fields: Map<String, Value>) {
    let mut separator = '?';
    for (name, value) in fields {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(_) | Value::Object(_) => panic!("the query field {name} is a scalar"),
        };
        push(target, format_args!("{separator}{name}={}", percent_encode(&text)));
        separator = '&';
    }
}

/// The values of the path parameters of a request, with their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathParameters(Vec<(&'static str, String)>);

/// Returns the path parameters if `path`, as it came in the request, is a path of the endpoint.
pub fn match_path<E: Endpoint>(path: &str) -> Option<PathParameters> {
    let mut parameters = Vec::new();
    let (mut template, mut segments) = (E::PATH.split('/'), path.split('/'));
    loop {
        match (template.next(), segments.next()) {
            (None, None) => return Some(PathParameters(parameters)),
            (Some(part), Some(segment)) => match parameter(part) {
                Some(name) => parameters.push((name, percent_decode(segment))),
                None if part == segment => {}
                None => return None,
            },
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

/// Decodes a request from its path parameters, its raw query and its body. A `GET` request has no use for a body, and a
/// `POST` request none for a query.
///
/// # Errors
///
/// If a field is missing, unknown or malformed, or appears twice.
pub fn decode<E: Endpoint>(parameters: PathParameters, query: &str, body: &[u8]) -> Result<E, DecodeError> {
    if E::METHOD == Method::GET { decode_query(parameters, query) } else { decode_body(parameters, body) }
}

fn decode_query<E: Endpoint>(parameters: PathParameters, query: &str) -> Result<E, DecodeError> {
    // With the path parameters in front, there is one kind of input, and a field that appears twice is an error.
    let mut pairs = String::new();
    for (name, value) in parameters.0 {
        push(&mut pairs, format_args!("{name}={}&", percent_encode(&value)));
    }
    pairs.push_str(query);
    serde_urlencoded::from_str(&pairs).map_err(DecodeError::Query)
}

fn decode_body<E: Endpoint>(parameters: PathParameters, body: &[u8]) -> Result<E, DecodeError> {
    let body = if body.is_empty() { b"{}" } else { body };
    if parameters.0.is_empty() {
        return serde_json::from_slice(body).map_err(DecodeError::Body);
    }
    let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(DecodeError::Body)?;
    for (name, value) in parameters.0 {
        if fields.insert(name.to_owned(), Value::String(value)).is_some() {
            return Err(DecodeError::InPath(name));
        }
    }
    serde_json::from_value(Value::Object(fields)).map_err(DecodeError::Body)
}

/// Why a request cannot be decoded.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// A parameter in the path or the query is missing, unknown or malformed.
    #[error("malformed query")]
    Query(#[source] serde_urlencoded::de::Error),
    /// The body is not JSON, or a field is missing, unknown or malformed.
    #[error("malformed JSON body")]
    Body(#[source] serde_json::Error),
    /// The body has a field that belongs in the path.
    #[error("malformed JSON body: the path already states `{0}`")]
    InPath(&'static str),
}

/// The name of the field that a part of a path template stands for; `None` for a literal segment.
fn parameter(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// Encodes a value for a path segment or a query. A valid name or id passes unchanged; anything else is encoded, so that
/// whatever a person typed stays one segment and the answer is about that text.
fn percent_encode(text: &str) -> impl Display {
    utf8_percent_encode(text, ENCODED)
}

/// Decodes a path segment. Bytes that are not UTF-8 become U+FFFD.
fn percent_decode(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

fn push(text: &mut String, more: impl Display) {
    write!(text, "{more}").expect("writing to a String does not fail");
}
