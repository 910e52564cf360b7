//! `traceparent` and `tracestate` of the W3C, by which the span of one server is the parent of that of the next.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Context, global};

use crate::is_on;

/// Headers to read from.
struct Incoming<'a>(&'a HeaderMap);

/// Headers to write to.
struct Outgoing<'a>(&'a mut HeaderMap);

/// Returns the span of the caller as its headers tell it. A caller can tell anything: it is good for nothing but a trace.
pub fn parent_of(headers: &HeaderMap) -> Context {
    global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &Incoming(headers))
    })
}

/// Tells another server of the span that is open, if there is one.
pub fn inject(headers: &mut HeaderMap) {
    if is_on() {
        global::get_text_map_propagator(|propagator| propagator.inject(&mut Outgoing(headers)));
    }
}

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (key.parse::<HeaderName>(), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
