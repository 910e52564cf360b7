//! Sends spans by OTLP over HTTP, where and how the standard `OTEL_*` variables say.
//!
//! The SDK reads those about batches, limits, sampling, the resource, headers and time limits by itself. What is decided here is
//! whether anything is sent, and by which protocol.

use std::env;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rustls::ClientConfig;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::ON;

/// The variables that say where spans go.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The variables that say by which protocol.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
/// How long a batch may take if nothing else is set, as the specification has it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer to a batch that is read.
const ANSWER_LIMIT: usize = 64 << 10;

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A variable has a value that is not supported.
    #[error("{name} is `{value}`: only `{supported}` is supported")]
    Unsupported {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        supported: &'static str,
    },
    /// There are no settings for HTTPS to the receiver.
    #[error("HTTPS to the receiver of traces")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    /// The exporter cannot be built from the variables.
    #[error("the OTEL_EXPORTER_OTLP_* variables do not make an exporter")]
    Exporter(#[source] ExporterBuildError),
}

/// The sending of spans. What is not sent yet is lost unless [`Export::finish`] is called.
#[derive(Debug)]
pub struct Export {
    provider: SdkTracerProvider,
    /// Where spans go, for the log.
    endpoint: String,
}

/// Starts to make spans and to send them if the environment asks for it. Batches are sent by a thread of the SDK, with
/// connections of this runtime. `tls` makes the settings for HTTPS, which nobody needs otherwise.
///
/// # Errors
///
/// See [`ExportError`].
pub fn start<E: Error + Send + Sync + 'static>(
    runtime: Handle,
    tls: impl FnOnce() -> Result<ClientConfig, E>,
    version: &'static str,
) -> Result<Option<Export>, ExportError> {
    let Some(endpoint) = wanted_endpoint(|name| env::var(name).ok())? else { return Ok(None) };
    let tls = tls().map_err(|error| ExportError::Tls(error.into()))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender { client: client(tls), runtime, is_failing: AtomicBool::new(false) })
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(ExportError::Exporter)?;
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", version));
    if env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("cache-server");
    }
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    global::set_tracer_provider(provider.clone());
    ON.store(true, Ordering::Relaxed);
    Ok(Some(Export { provider, endpoint }))
}

impl Export {
    /// Returns where spans go, without a user and password that its URL may have.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sends what has not been sent, and stops. Blocks until then, though not for long: see `OTEL_BSP_EXPORT_TIMEOUT`.
    pub fn finish(&self) {
        ON.store(false, Ordering::Relaxed);
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "some traces could not be sent");
        }
    }
}

/// Where spans are to go. `None` if they are not wanted.
fn wanted_endpoint(variable: impl Fn(&'static str) -> Option<String>) -> Result<Option<String>, ExportError> {
    // An empty value is as good as none, by the specification.
    let variable = |name| variable(name).filter(|value| !value.trim().is_empty());
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let endpoint = ENDPOINTS.iter().find_map(|name| variable(name));
    let endpoint = match variable("OTEL_TRACES_EXPORTER").as_deref().map(str::trim) {
        Some("none") => return Ok(None),
        Some("otlp") => endpoint.unwrap_or_else(|| "http://localhost:4318".to_owned()),
        Some(other) => {
            let (name, supported) = ("OTEL_TRACES_EXPORTER", "otlp");
            return Err(ExportError::Unsupported { name, value: other.to_owned(), supported });
        }
        None => match endpoint {
            Some(endpoint) => endpoint,
            None => return Ok(None),
        },
    };
    let protocol = PROTOCOLS.iter().find_map(|name| Some((*name, variable(name)?)));
    if let Some((name, value)) = protocol.filter(|(_, value)| value.trim() != "http/protobuf") {
        return Err(ExportError::Unsupported { name, value, supported: "http/protobuf" });
    }
    Ok(Some(without_credentials(&endpoint)))
}

/// A URL without a user and password, for the log.
fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

fn client(tls: ClientConfig) -> Http {
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(https)
}

/// Sends batches on the runtime of the daemon: the thread of the SDK has none.
#[derive(Debug)]
struct Sender {
    client: Http,
    runtime: Handle,
    is_failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        // The exporter has a time limit that it does not apply to clients of others.
        let sending = self.runtime.spawn(async move { timeout(time_limit(), send(&client, request)).await });
        let outcome = match sending.await? {
            Ok(outcome) => outcome,
            Err(_) => Err("no answer in time".into()),
        };
        match &outcome {
            Ok(answer) if answer.status().is_success() => self.tell(None),
            Ok(answer) => self.tell(Some(format!("its receiver answers {}", answer.status()))),
            Err(error) => self.tell(Some(error.to_string())),
        }
        outcome
    }
}

async fn send(client: &Http, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, ANSWER_LIMIT).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

impl Sender {
    /// Says once that batches cannot be sent, and once that they can again.
    fn tell(&self, error: Option<String>) {
        let was_failing = self.is_failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !was_failing => {
                tracing::warn!(error, "traces cannot be sent for now, and are lost")
            }
            None if was_failing => tracing::info!("traces are sent again"),
            _ => {}
        }
    }
}

/// `OTEL_EXPORTER_OTLP_TIMEOUT`, in milliseconds.
fn time_limit() -> Duration {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
    let set = names.iter().find_map(|name| env::var(name).ok()?.trim().parse().ok());
    set.map_or(TIMEOUT, Duration::from_millis)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
