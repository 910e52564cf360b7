//! Traces by OpenTelemetry: a span for each request, with spans below it for the work that takes time.
//!
//! | file | what |
//! |---|---|
//! | `export.rs` | where spans are sent, by OTLP over HTTP, as the standard `OTEL_*` variables say |
//! | `propagation.rs` | `traceparent` from one daemon to the next |
//!
//! Nothing is traced unless the environment asks for it. Until then, a span costs one load of an atomic, and no span is made.
//! What a span says must hold no secret: it leaves the machine.

mod export;
mod propagation;

use std::borrow::Cow;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{FutureExt, Span, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, global};

pub use export::{Export, ExportError, start};
pub use opentelemetry::{KeyValue, Value};
pub use propagation::{inject, parent_of};

/// The name of the tracer: which code made the spans.
const TRACER: &str = "cache-server";

static ON: AtomicBool = AtomicBool::new(false);

/// Whether spans are made.
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Runs what answers a request in a span. `parent` is the span of the caller if it sent one: see [`parent_of`].
pub async fn serve<F: Future>(
    name: impl Into<Cow<'static, str>>,
    parent: Context,
    attributes: Vec<KeyValue>,
    answering: F,
) -> F::Output {
    run(name.into(), SpanKind::Server, &parent, attributes, answering).await
}

/// Runs a part of the work on a request in a span below that of the request. Work that belongs to none has no span.
pub async fn within<F: Future>(
    name: &'static str,
    attributes: impl FnOnce() -> Vec<KeyValue>,
    working: F,
) -> F::Output {
    below(name, SpanKind::Internal, attributes, working).await
}

/// Runs a request to another server in a span below that of the request that caused it.
pub async fn ask<F: Future>(
    name: &'static str,
    attributes: impl FnOnce() -> Vec<KeyValue>,
    asking: F,
) -> F::Output {
    below(name, SpanKind::Client, attributes, asking).await
}

/// Gives the span that is open another name, now that more is known about it.
pub fn rename(name: String) {
    if is_on() {
        Context::current().span().update_name(name);
    }
}

/// Has work that a task of its own does belong to the span that is open now.
pub fn carried<F: Future>(working: F) -> impl Future<Output = F::Output> {
    working.with_context(if is_on() { Context::current() } else { Context::new() })
}

/// Adds an attribute to the span that is open, if there is one.
pub fn note(key: &'static str, value: impl Into<Value>) {
    if is_on() {
        Context::current().span().set_attribute(KeyValue::new(key, value));
    }
}

/// Marks the span that is open as failed. The text must hold no secret.
pub fn fail(text: impl Into<Cow<'static, str>>) {
    if is_on() {
        Context::current().span().set_status(Status::error(text));
    }
}

async fn below<F: Future>(
    name: &'static str,
    kind: SpanKind,
    attributes: impl FnOnce() -> Vec<KeyValue>,
    working: F,
) -> F::Output {
    if !is_on() {
        return working.await;
    }
    let parent = Context::current();
    if !parent.span().span_context().is_valid() {
        return working.await;
    }
    // Boxed, so that a future without a span is hardly larger than the work itself.
    Box::pin(run(name.into(), kind, &parent, attributes(), working)).await
}

async fn run<F: Future>(
    name: Cow<'static, str>,
    kind: SpanKind,
    parent: &Context,
    attributes: Vec<KeyValue>,
    working: F,
) -> F::Output {
    let tracer = global::tracer(TRACER);
    let builder = tracer.span_builder(name).with_kind(kind).with_attributes(attributes);
    let mut span = tracer.build_with_context(builder, parent);
    if !span.is_recording() {
        // It was not sampled; those below it follow.
        span.end();
    }
    // A future that is dropped ends its span by dropping it.
    let context = parent.with_span(span);
    let outcome = working.with_context(context.clone()).await;
    context.span().end();
    outcome
}
