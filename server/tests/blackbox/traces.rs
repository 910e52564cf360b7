//! Traces, as a receiver of OTLP gets them.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::json;

use crate::harness::daemon::DAEMON;
use crate::harness::{Path, Permission, SOON, Site, wait_for};

/// What takes the batches.
pub struct Receiver {
    address: SocketAddr,
    batches: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), batches: Arc::default() };
        let batches = receiver.batches.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let batches = batches.clone();
                std::thread::spawn(move || take(stream, &batches).ok());
            }
        });
        receiver
    }

    /// Where daemons send their traces.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A daemon that sends its traces here.
    fn site(&self, edit: impl Fn(&mut serde_json::Value)) -> Site {
        let endpoint = self.endpoint();
        Site::launched(
            move |config, _| edit(config),
            move |_| daemon(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]),
        )
    }

    fn spans(&self) -> Vec<Span> {
        let batches = self.batches.lock().unwrap();
        let requests = batches.iter().map(|batch| ExportTraceServiceRequest::decode(&batch[..]).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// Waits for a span of this name.
    #[track_caller]
    fn soon(&self, name: &str) -> Span {
        self.soon_some(name, |span| span.name == name)
    }

    #[track_caller]
    fn soon_some(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        wait_for(SOON, what, || self.spans().into_iter().find(|span| wanted(span)))
    }

    /// How many spans of this name there are.
    pub fn count(&self, name: &str) -> usize {
        self.spans().iter().filter(|span| span.name == name).count()
    }

    pub fn has_received(&self, secret: &str) -> bool {
        let batches = self.batches.lock().unwrap();
        batches.iter().any(|batch| batch.windows(secret.len()).any(|window| window == secret.as_bytes()))
    }
}

fn daemon(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(DAEMON);
    command.env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    command.env("OTEL_BSP_SCHEDULE_DELAY", "50");
    command
}

fn take(stream: TcpStream, batches: &Mutex<Vec<Vec<u8>>>) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        assert_eq!(line, "POST /v1/traces HTTP/1.1\r\n");
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        batches.lock().unwrap().push(body);
        writer.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n",
        )?;
    }
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
    Some(match value {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        other => panic!("{key}: {other:?}"),
    })
}

#[test]
fn a_push_and_a_read_are_spans_with_the_work_below_them() {
    let receiver = Receiver::start();
    let site = receiver.site(|_| {});
    let path = Path::small("traced");
    site.pusher("pub").push(&path);
    site.reader("pub").assert_has(&path);

    let read = receiver.soon("GET /{hash}.narinfo");
    assert_eq!(read.kind(), SpanKind::Server);
    assert_eq!(attribute(&read, "http.route").as_deref(), Some("/{hash}.narinfo"));
    assert_eq!(attribute(&read, "url.path"), Some(format!("/{}.narinfo", path.hash)));
    assert_eq!(attribute(&read, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(attribute(&read, "cache_server.cache").as_deref(), Some("pub"));
    assert!(read.end_time_unix_nano >= read.start_time_unix_nano);

    let write = receiver.soon("storage put");
    assert_eq!(attribute(&write, "cache_server.storage").as_deref(), Some("disk"));
    let spans: HashMap<Vec<u8>, Span> =
        receiver.spans().into_iter().map(|span| (span.span_id.clone(), span)).collect();
    let mut top = write;
    while !top.parent_span_id.is_empty() {
        top = wait_for(SOON, "its parent", || {
            let parent = spans.get(&top.parent_span_id).cloned();
            parent.or_else(|| receiver.spans().into_iter().find(|span| span.span_id == top.parent_span_id))
        });
    }
    assert_eq!(top.kind(), SpanKind::Server);
    assert!(attribute(&top, "http.route").unwrap().starts_with("/api/v1/cache/{cache}/"), "{top:?}");
    assert!(attribute(&top, "cache_server.token").is_some(), "{top:?}");
    let catalog =
        receiver.soon_some("a commit", |span| span.name == "catalog write" && span.trace_id == top.trace_id);
    assert!(!catalog.parent_span_id.is_empty());
}

#[test]
fn a_span_is_below_that_of_the_client_and_holds_no_secret() {
    let receiver = Receiver::start();
    let site = receiver.site(|_| {});
    let token = site.token("priv", Permission::Read);
    let get = site.cache("priv").get("/nix-cache-info?token=in-the-query").basic("", &token);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    get.header("traceparent", traceparent).send().expect(200);
    let span = receiver.soon("GET /nix-cache-info");
    assert_eq!(span.trace_id[..2], [0x0a, 0xf7]);
    assert_eq!(span.parent_span_id[..2], [0xb7, 0xad]);
    assert!(attribute(&span, "cache_server.token").is_some());
    assert!(!receiver.has_received(&token));
    assert!(!receiver.has_received("in-the-query"));
}

#[test]
fn a_trace_goes_on_at_the_upstream() {
    let receiver = Receiver::start();
    let upstream = receiver.site(|_| {});
    let path = Path::small("far");
    upstream.pusher("pub").push(&path);
    let entry = format!("http://127.0.0.1:{} {}", upstream.port("pub"), upstream.public_key("pub"));
    let site = receiver.site(|config| config["caches"][0]["upstreams"] = json!([entry]));
    site.reader("pub").assert_has(&path);
    let asking = receiver.soon_some("a question to the upstream", |span| {
        span.kind() == SpanKind::Client
            && attribute(span, "url.path").is_some_and(|path| path.ends_with(".narinfo"))
    });
    assert_eq!(attribute(&asking, "http.response.status_code").as_deref(), Some("200"));
    let answering = receiver.soon_some("its answer", |span| span.parent_span_id == asking.span_id);
    assert_eq!(answering.kind(), SpanKind::Server);
    assert_eq!(answering.trace_id, asking.trace_id);
}

/// The receiver may be away for as long as it likes.
#[test]
fn a_receiver_that_is_away_harms_nothing() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nobody}");
    let mut site = Site::launched(|_, _| {}, move |_| daemon(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]));
    let path = Path::small("traced");
    site.pusher("pub").push(&path);
    site.reader("pub").assert_has(&path);
    wait_for(SOON, "the log says so", || site.daemon().log().contains("traces cannot be sent").then_some(()));
    assert!(site.stop_and_restart().success());
    site.reader("pub").assert_has(&path);
}

#[test]
fn what_cannot_be_sent_is_said_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    std::fs::write(&config, "caches: []\n").unwrap();
    let mut command =
        daemon(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let output = command.arg("--config").arg(&config).env("HOME", directory.path()).output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`: only `http/protobuf` is supported"),
        "{text}"
    );
}
